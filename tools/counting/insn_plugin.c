/* A TCG plugin of QEMU: exact instructions of each step.
 *
 *     -plugin insn_plugin.so,entry=ADDRESS,begin=ADDRESS,end=ADDRESS,out=FILE -d plugin
 *
 * Counts what is executed outside [begin, end), where the harness lies; each time that `entry` is
 * executed, a new step begins.  Writes one number a line.  An instruction that its condition
 * suppresses (in an IT block) counts: the processor spends its time on it.  The prototypes are
 * those of QEMU's plugin interface, version 1; no header of QEMU is needed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef void (*translated_t)(qemu_plugin_id_t, struct qemu_plugin_tb *);
typedef void (*executed_t)(unsigned, void *);
typedef void (*ended_t)(qemu_plugin_id_t, void *);
enum { INLINE_ADD_U64 = 0, NO_REGISTERS = 0 };

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, translated_t call);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, ended_t call, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, executed_t call,
                                            int flags, void *data);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, int op, void *value,
                                                uint64_t add);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;
__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id,
                                                               const void *info, int argc,
                                                               char **argv);

static uint64_t entry, harness_begin, harness_end, executed, before;
static FILE *out;
static int started;

static void write_step(void)
{
    if (started) {
        fprintf(out, "%" PRIu64 "\n", executed - before);
    }
}

static void at_entry(unsigned cpu, void *data)
{
    (void)cpu;
    (void)data;
    write_step();
    before = executed;
    started = 1;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        const uint64_t address = qemu_plugin_insn_vaddr(insn);
        if (address == entry) {
            qemu_plugin_register_vcpu_insn_exec_cb(insn, at_entry, NO_REGISTERS, NULL);
        }
        if (address < harness_begin || address >= harness_end) {
            qemu_plugin_register_vcpu_insn_exec_inline(insn, INLINE_ADD_U64, &executed, 1);
        }
    }
}

static void ended(qemu_plugin_id_t id, void *data)
{
    (void)id;
    (void)data;
    write_step();
    fclose(out);
}

static const char *value_of(int argc, char **argv, const char *name)
{
    const size_t n = strlen(name);
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], name, n) == 0 && argv[i][n] == '=') {
            return argv[i] + n + 1;
        }
    }
    return "";
}

int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
    (void)info;
    entry = strtoull(value_of(argc, argv, "entry"), NULL, 0);
    harness_begin = strtoull(value_of(argc, argv, "begin"), NULL, 0);
    harness_end = strtoull(value_of(argc, argv, "end"), NULL, 0);
    out = fopen(value_of(argc, argv, "out"), "w");
    if (entry == 0 || out == NULL) {
        fprintf(stderr, "insn_plugin: entry=, begin=, end= and out= are needed\n");
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
