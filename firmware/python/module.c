/* module.c: the module grsn_edge._native, and what its types share. */
#include "native.h"

#include <string.h>

static int take_error(PyObject *errors, const char *name, PyObject **place)
{
    *place = PyObject_GetAttrString(errors, name);
    return *place == NULL ? -1 : 0;
}

static int take_errors(native_module_t *state)
{
    PyObject *errors = PyImport_ImportModule("grsn_edge.errors");
    if (errors == NULL) {
        return -1;
    }
    const int failed = take_error(errors, "BackendError", &state->backend_error) ||
                       take_error(errors, "ObservationError", &state->observation_error) ||
                       take_error(errors, "StateError", &state->state_error) ||
                       take_error(errors, "UsageError", &state->usage_error);
    Py_DECREF(errors);
    return failed ? -1 : 0;
}

static int execute(PyObject *module)
{
    if (take_errors(PyModule_GetState(module)) < 0) {
        return -1;
    }
    if (PyModule_AddStringConstant(module, "LOWERING", native_lowering()) < 0) {
        return -1;
    }
    if (native_add_model(module) < 0 || native_add_stream(module) < 0 ||
        native_add_batch(module) < 0 || native_add_supervisor(module) < 0) {
        return -1;
    }
    return 0;
}

static int traverse(PyObject *module, visitproc visit, void *arg)
{
    native_module_t *state = PyModule_GetState(module);
    Py_VISIT(state->backend_error);
    Py_VISIT(state->observation_error);
    Py_VISIT(state->state_error);
    Py_VISIT(state->usage_error);
    Py_VISIT(state->model_type);
    return 0;
}

static int clear(PyObject *module)
{
    native_module_t *state = PyModule_GetState(module);
    Py_CLEAR(state->backend_error);
    Py_CLEAR(state->observation_error);
    Py_CLEAR(state->state_error);
    Py_CLEAR(state->usage_error);
    Py_CLEAR(state->model_type);
    return 0;
}

static void release(void *module)
{
    clear(module);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, (void *)execute}, {0, NULL}};

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "grsn_edge._native",
    .m_doc = "The virtual machine of firmware/ for this processor; see grsn_edge/_native.pyi.",
    .m_size = sizeof(native_module_t),
    .m_slots = slots,
    .m_traverse = traverse,
    .m_clear = clear,
    .m_free = release,
};

PyMODINIT_FUNC PyInit__native(void)
{
    return PyModuleDef_Init(&definition);
}

native_module_t *native_of(PyTypeObject *type)
{
    return PyType_GetModuleState(type);
}

int native_add_type(PyObject *module, PyType_Spec *spec, const char *name, PyObject **place)
{
    PyObject *type = PyType_FromModuleAndSpec(module, spec, NULL);
    if (type == NULL) {
        return -1;
    }
    const int failed = PyModule_AddObjectRef(module, name, type);
    if (place != NULL && !failed) {
        *place = type;
    } else {
        Py_DECREF(type);
    }
    return failed;
}

void *native_array(size_t count, size_t size)
{
    const int too_large = size > 0 && count > (size_t)PTRDIFF_MAX / size;
    void *memory = too_large ? NULL : PyMem_Calloc(count > 0 ? count : 1, size > 0 ? size : 1);
    if (memory == NULL) {
        PyErr_NoMemory();
    }
    return memory;
}

void native_free(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    freefunc release_object = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release_object(self);
    Py_DECREF(type);
}

char native_format(const Py_buffer *view)
{
    const uint16_t probe = 1;
    const char own = *(const uint8_t *)&probe == 1 ? '<' : '>';
    const char *format = view->format == NULL ? "B" : view->format;
    if (*format == '@' || *format == '=' || *format == own) {
        format++;
    }
    return format[0] != '\0' && format[1] == '\0' ? format[0] : '\0';
}

int native_int32(PyObject *object, Py_buffer *view, int flags, Py_ssize_t count, const char *what,
                 PyObject *error)
{
    if (PyObject_GetBuffer(object, view, PyBUF_FORMAT | PyBUF_ND | flags) < 0) {
        PyErr_Clear();
        PyErr_Format(error, "%s must be a contiguous%s buffer of int32", what,
                     flags & PyBUF_WRITABLE ? ", writable" : "");
        return -1;
    }
    const char format = native_format(view);
    const int aligned = (uintptr_t)view->buf % sizeof(int32_t) == 0;
    if ((format == 'i' || format == 'l') && view->itemsize == 4 && view->len == 4 * count &&
        aligned) {
        return 0;
    }
    PyErr_Format(error, "%s must hold %zd aligned int32, not %zd bytes of format '%s'", what,
                 count, view->len, view->format == NULL ? "B" : view->format);
    PyBuffer_Release(view);
    return -1;
}

static int has_shape(const Py_buffer *view, Py_ssize_t rows, Py_ssize_t columns)
{
    if (rows < 0) {
        return view->ndim == 1 && view->shape[0] == columns;
    }
    return view->ndim == 2 && view->shape[0] == rows && view->shape[1] == columns;
}

int native_floats(PyObject *object, Py_ssize_t rows, Py_ssize_t columns, float *to)
{
    Py_buffer view;
    if (PyObject_GetBuffer(object, &view, PyBUF_FORMAT | PyBUF_ND) < 0) {
        PyErr_Clear();
        return 0;
    }
    int taken = has_shape(&view, rows, columns);
    const size_t count = (size_t)((rows < 0 ? 1 : rows) * columns);
    if (!taken) {
    } else if (native_format(&view) == 'f') {
        memcpy(to, view.buf, count * sizeof *to);
    } else if (native_format(&view) == 'd') {
        const char *from = view.buf;
        for (size_t i = 0; i < count; i++) {
            double value;
            memcpy(&value, from + i * sizeof value, sizeof value); /* may be unaligned */
            to[i] = (float)value; /* beyond binary32 is infinite, as in IEEE 754 */
        }
    } else {
        taken = 0;
    }
    PyBuffer_Release(&view);
    return taken;
}
