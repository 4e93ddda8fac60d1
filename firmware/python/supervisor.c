/* supervisor.c: grsn_edge._native.Supervisor, the firmware's supervisor for the host's executor. */
#include "native.h"

#include "grsn_supervisor.h"

typedef struct {
    PyObject_HEAD
    PyObject *section; /* bytes that config borrows from; NULL where there is none */
    uint32_t action_n;
    grsn_supervisor_config_t config;
    grsn_supervisor_t supervisor;
} supervisor_t;

static int configure(supervisor_t *self, PyObject *section, unsigned int period_us,
                     unsigned int action_n)
{
    const Py_ssize_t size = PyBytes_Size(section);
    if (size == 0) {
        grsn_supervisor_config_default(period_us, action_n, &self->config);
    } else if (grsn_supervisor_config_read((const uint8_t *)PyBytes_AsString(section),
                                           (uint32_t)size, &self->config) != 0) {
        return -1;
    }
    Py_INCREF(section);
    self->section = section;
    self->action_n = self->config.is_discrete ? 1 : self->config.n;
    return self->action_n == action_n ? 0 : -1;
}

static PyObject *supervisor_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"section", "period_us", "action_n", "now", NULL};
    PyObject *section;
    unsigned int period_us, action_n, now = 0;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "SII|I:Supervisor", names, &section,
                                     &period_us, &action_n, &now)) {
        return NULL;
    }
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    supervisor_t *self = (supervisor_t *)allocate(type, 0);
    if (self == NULL) {
        return NULL;
    }
    if (configure(self, section, period_us, action_n) < 0) {
        PyErr_Format(native_of(type)->usage_error,
                     "a supervisor section of %zd bytes that cannot be, or not for %u integers",
                     PyBytes_Size(section), action_n);
        Py_CLEAR(self);
        return NULL;
    }
    grsn_supervisor_init(&self->supervisor, now);
    return (PyObject *)self;
}

static void supervisor_dealloc(PyObject *self)
{
    Py_CLEAR(((supervisor_t *)self)->section);
    native_free(self);
}

/* ---- reports, requests, events --------------------------------------------------------------- */

static PyObject *report(PyObject *self, PyObject *args)
{
    unsigned int conditions;
    if (!PyArg_ParseTuple(args, "I:report", &conditions)) {
        return NULL;
    }
    grsn_supervisor_report(&((supervisor_t *)self)->supervisor, (uint16_t)conditions);
    Py_RETURN_NONE;
}

static PyObject *clear(PyObject *self, PyObject *args)
{
    unsigned int conditions;
    if (!PyArg_ParseTuple(args, "I:clear", &conditions)) {
        return NULL;
    }
    grsn_supervisor_clear(&((supervisor_t *)self)->supervisor, (uint16_t)conditions);
    Py_RETURN_NONE;
}

typedef uint8_t move_t(grsn_supervisor_t *supervisor, const grsn_supervisor_config_t *config,
                       uint32_t now);

static PyObject *move(PyObject *object, PyObject *args, move_t *to)
{
    supervisor_t *self = (supervisor_t *)object;
    unsigned int now;
    if (!PyArg_ParseTuple(args, "I", &now)) {
        return NULL;
    }
    return PyLong_FromLong(to(&self->supervisor, &self->config, now));
}

static PyObject *arm(PyObject *self, PyObject *args)
{
    return move(self, args, grsn_supervisor_arm);
}

static PyObject *disarm(PyObject *self, PyObject *args)
{
    return move(self, args, grsn_supervisor_disarm);
}

static PyObject *update(PyObject *self, PyObject *args)
{
    return move(self, args, grsn_supervisor_update);
}

static PyObject *observation(PyObject *object, PyObject *args)
{
    supervisor_t *self = (supervisor_t *)object;
    unsigned int now, quality;
    if (!PyArg_ParseTuple(args, "II:observation", &now, &quality)) {
        return NULL;
    }
    grsn_supervisor_observation(&self->supervisor, &self->config, now,
                                (grsn_observation_t)quality);
    Py_RETURN_NONE;
}

static PyObject *step(PyObject *object, PyObject *args)
{
    supervisor_t *self = (supervisor_t *)object;
    unsigned int took_us;
    if (!PyArg_ParseTuple(args, "I:step", &took_us)) {
        return NULL;
    }
    grsn_supervisor_step(&self->supervisor, &self->config, took_us);
    Py_RETURN_NONE;
}

/* ---- actions --------------------------------------------------------------------------------- */

static int take(supervisor_t *self, PyObject *object, Py_buffer *view, int flags, const char *what)
{
    return native_int32(object, view, flags, (Py_ssize_t)self->action_n, what,
                        native_of(Py_TYPE((PyObject *)self))->usage_error);
}

static PyObject *safe(PyObject *object, PyObject *action)
{
    supervisor_t *self = (supervisor_t *)object;
    Py_buffer given;
    if (take(self, action, &given, PyBUF_WRITABLE, "'action'") < 0) {
        return NULL;
    }
    grsn_supervisor_safe(&self->config, given.buf);
    PyBuffer_Release(&given);
    Py_RETURN_NONE;
}

static PyObject *output(PyObject *object, PyObject *args)
{
    supervisor_t *self = (supervisor_t *)object;
    PyObject *wanted, *action;
    Py_buffer asked, given;
    if (!PyArg_ParseTuple(args, "OO:output", &wanted, &action) ||
        take(self, action, &given, PyBUF_WRITABLE, "'action'") < 0) {
        return NULL;
    }
    if (wanted == Py_None) {
        grsn_supervisor_output(&self->supervisor, &self->config, NULL, given.buf);
    } else if (take(self, wanted, &asked, 0, "'wanted'") < 0) {
        PyBuffer_Release(&given);
        return NULL;
    } else {
        grsn_supervisor_output(&self->supervisor, &self->config, asked.buf, given.buf);
        PyBuffer_Release(&asked);
    }
    PyBuffer_Release(&given);
    Py_RETURN_NONE;
}

/* ---- the type -------------------------------------------------------------------------------- */

#define STATUS(type, name)                                                                         \
    {#name, type,                                                                                  \
     (Py_ssize_t)(offsetof(supervisor_t, supervisor) + offsetof(grsn_supervisor_t, name)),         \
     READONLY, NULL}

static PyMemberDef members[] = {
    STATUS(T_UBYTE, state),      STATUS(T_UBYTE, reaction),    STATUS(T_UBYTE, overrun_run),
    STATUS(T_UBYTE, invalid_run), STATUS(T_USHORT, conditions), STATUS(T_USHORT, reasons),
    STATUS(T_UINT, steps),       STATUS(T_UINT, input_us),     STATUS(T_USHORT, overruns),
    STATUS(T_USHORT, invalid),   STATUS(T_USHORT, holds),      STATUS(T_USHORT, safes),
    STATUS(T_USHORT, clipped),   STATUS(T_USHORT, slewed),     STATUS(T_UINT, longest_us),
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef methods[] = {
    {"report", report, METH_VARARGS, "report(conditions)"},
    {"clear", clear, METH_VARARGS, "clear(conditions)"},
    {"arm", arm, METH_VARARGS, "arm(now) -> state"},
    {"disarm", disarm, METH_VARARGS, "disarm(now) -> state"},
    {"update", update, METH_VARARGS, "update(now) -> state"},
    {"observation", observation, METH_VARARGS, "observation(now, quality)"},
    {"step", step, METH_VARARGS, "step(took_us)"},
    {"safe", safe, METH_O, "safe(action): write the safe action"},
    {"output", output, METH_VARARGS, "output(wanted, action): the next action from the last one"},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "Supervisor(section, period_us, action_n, now=0): firmware/src/grsn_supervisor.c."},
    {Py_tp_new, (void *)supervisor_new},
    {Py_tp_dealloc, (void *)supervisor_dealloc},
    {Py_tp_members, members},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "grsn_edge._native.Supervisor",
    .basicsize = sizeof(supervisor_t),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = slots,
};

int native_add_supervisor(PyObject *module)
{
    return native_add_type(module, &spec, "Supervisor", NULL);
}
