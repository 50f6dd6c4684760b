/* Counts the instructions that a program executes under qemu, all its threads', and prints them when it ends.
 *
 * Declared as by qemu's plugin interface, version 1 ("QEMU TCG Plugins" of its documentation), which Debian ships no header of. */
#include <stdint.h>
#include <stdio.h>

#define VISIBLE __attribute__((visibility("default")))

typedef uint64_t plugin_id;
struct block;

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, void (*then)(plugin_id, struct block *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct block *block, void (*then)(unsigned, void *), int registers, void *given);
void qemu_plugin_register_atexit_cb(plugin_id id, void (*then)(plugin_id, void *), void *given);
size_t qemu_plugin_tb_n_insns(const struct block *block);

enum { NO_REGISTERS = 0 };

static uint64_t executed;

static void on_run(unsigned processor, void *instructions) {
    (void)processor;
    __atomic_fetch_add(&executed, (uintptr_t)instructions, __ATOMIC_RELAXED);
}

/* A block is left early where it faults alone: a handful of instructions of a run. */
static void on_translation(plugin_id id, struct block *block) {
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_cb(block, on_run, NO_REGISTERS, (void *)(uintptr_t)qemu_plugin_tb_n_insns(block));
}

static void on_end(plugin_id id, void *given) {
    (void)id;
    (void)given;
    fprintf(stderr, "instructions %llu\n", (unsigned long long)executed);
}

VISIBLE int qemu_plugin_version = 1;

VISIBLE int qemu_plugin_install(plugin_id id, const void *host, int count, char **arguments) {
    (void)host;
    (void)count;
    (void)arguments;
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_atexit_cb(id, on_end, NULL);
    return 0;
}
