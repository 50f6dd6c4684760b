/* Tables for unwinding as `cross/pack` leaves them in a program: packed, and made whole before they are read.
 *
 * The linker calls what is here where the program calls libunwind (--wrap). Formats: ELF's; of .eh_frame and
 * .eh_frame_hdr Linux Standard Base 5.0, 10.6; of .gcc_except_table the Itanium C++ ABI's exception handling tables.
 * cross/README.md, "Tables".
 */
#define _GNU_SOURCE
#include <link.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* zstd's, which is in the program for its own sake. */
size_t ZSTD_decompress(void *into, size_t capacity, const void *from, size_t length);

/* What `cross/pack` writes where the tables begin: its mark; bytes of the tables; of them before .gcc_except_table; of what is
 * packed when it is not; of it packed. */
struct packed {
    char mark[8];
    uint32_t whole, frames, apart, length;
};
static const char MARK[8] = "unwinds";

static uint32_t get(const unsigned char *at) {
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static void put(unsigned char *at, uint32_t value) { memcpy(at, &value, sizeof value); }

/* An entry of .eh_frame_hdr: where a function begins and where its entry of .eh_frame is, both from where the tables begin. */
struct entry {
    int32_t function, frame;
};

static int by_function(const void *one, const void *other) {
    int32_t a = ((const struct entry *)one)->function, b = ((const struct entry *)other)->function;
    return (a > b) - (a < b);
}

/* Puts addresses of .eh_frame where `cross/pack` left how far they are from the ones before, and makes .eh_frame_hdr of them. */
static void frames_whole(unsigned char *tables) {
    uint32_t first = 4 + get(tables + 4), end = 0, data = 0, length;
    struct entry *entries = (struct entry *)(tables + 12);
    for (uint32_t at = first; (length = get(tables + at)) != 0; at += 4 + length) {
        uint32_t common = get(tables + at + 4);
        if (common == 0)
            continue; /* it is what functions have in common */
        put(tables + at + 4, at + 4 - (first + common - 1));
        uint32_t function = end + get(tables + at + 8);
        end = function + get(tables + at + 12);
        put(tables + at + 8, function - (at + 8));
        if (tables[at + 16] != 0 && get(tables + at + 17) != 0) {
            data += get(tables + at + 17);
            uint32_t from_here = data - (at + 17);
            put(tables + at + 17, from_here);
            if (tables[at + 16] == 8) /* of 64 bits, the upper of which are the sign */
                put(tables + at + 21, from_here >> 31 ? UINT32_MAX : 0);
        }
        *entries++ = (struct entry){(int32_t)function, (int32_t)at};
    }
    qsort(tables + 12, get(tables + 8), sizeof *entries, by_function);
}

/* A number of seven bits a byte, the lowest first (ULEB128). */
static uint32_t number(const unsigned char **from) {
    uint32_t value = 0, shift = 0, byte;
    do {
        byte = *(*from)++;
        value |= (byte & 0x7F) << shift;
        shift += 7;
    } while (byte & 0x80);
    return value;
}

static void write_number(unsigned char **into, uint32_t value) {
    for (; value > 0x7F; value >>= 7)
        *(*into)++ = (unsigned char)(value | 0x80);
    *(*into)++ = (unsigned char)value;
}

/* One as it stands, though it may be longer than it needs to be. */
static uint32_t copy_number(unsigned char **into, const unsigned char **from) {
    const unsigned char *begin = *from;
    uint32_t value = number(from);
    memcpy(*into, begin, (size_t)(*from - begin));
    *into += *from - begin;
    return value;
}

/* Writes .gcc_except_table up to its end: of a function's calls where each begins, and where one goes that panics, is packed as
 * how far it is from the one before. */
static void places_whole(unsigned char *into, unsigned char *end, const unsigned char *from) {
    const unsigned char OMITTED = 0xFF; /* DW_EH_PE_omit */
    while (into < end) {
        *into++ = *from++; /* landing pads are told from where the function begins */
        unsigned char types = *into++ = *from++, *types_end = NULL;
        if (types != OMITTED) {
            uint32_t length = copy_number(&into, &from);
            types_end = into + length;
        }
        *into++ = *from++; /* how calls are written: as numbers */
        uint32_t calls = copy_number(&into, &from);
        uint32_t called = 0, pad = 0;
        for (unsigned char *calls_end = into + calls; into < calls_end;) {
            uint32_t begin = called + number(&from), length = number(&from), further = number(&from);
            called = begin + length;
            if (further != 0) /* even: on; odd: back */
                pad += (further - 1) & 1 ? -(further / 2) : (further - 1) / 2;
            write_number(&into, begin);
            write_number(&into, length);
            write_number(&into, further ? pad : 0);
            copy_number(&into, &from); /* the action */
        }
        while (types_end != NULL && into < types_end)
            *into++ = *from++;
        for (uint32_t padding = number(&from); padding != 0; padding--)
            *into++ = 0;
    }
}

/* Makes the tables, at an address that 4 divides, of what zstd has unpacked. `cross/pack` calls it too, and looks what it makes. */
void make_whole(unsigned char *tables, uint32_t whole, uint32_t frames, const unsigned char *apart) {
    memcpy(tables, apart, frames);
    frames_whole(tables);
    places_whole(tables + frames, tables + whole, apart + frames);
}

static int find(struct dl_phdr_info *program, size_t size, void *found) {
    (void)size;
    for (int i = 0; i < program->dlpi_phnum; i++)
        if (program->dlpi_phdr[i].p_type == PT_GNU_EH_FRAME)
            *(unsigned char **)found = (unsigned char *)program->dlpi_addr + program->dlpi_phdr[i].p_vaddr;
    return 0;
}

static void unpack(void) {
    unsigned char *tables = NULL;
    struct packed packed;
    dl_iterate_phdr(find, &tables);
    if (tables == NULL || memcmp(tables, MARK, sizeof MARK) != 0)
        return; /* a program that `cross/pack` has not seen */
    memcpy(&packed, tables, sizeof packed);
    unsigned char *apart = mmap(NULL, packed.apart, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (apart == MAP_FAILED || ZSTD_decompress(apart, packed.apart, tables + sizeof packed, packed.length) != packed.apart) {
        static const char why[] = "potoroo: there was a panic, and no memory for what it takes to catch it\n";
        (void)!write(STDERR_FILENO, why, sizeof why - 1);
        abort();
    }
    make_whole(tables, packed.whole, packed.frames, apart);
    munmap(apart, packed.apart);
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = (uintptr_t)tables & -page;
    mprotect((void *)begin, (uintptr_t)tables + packed.whole - begin, PROT_READ);
}

static void make_sure(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, unpack);
}

/* What reads the tables first: a panic that goes up, and what asks for the stack or for a function's place (libunwind's own
 * declarations, with its types' sizes alone). */
int __real__Unwind_RaiseException(void *exception);
int __real__Unwind_Backtrace(void *each, void *argument);
void *__real__Unwind_FindEnclosingFunction(void *place);

int __wrap__Unwind_RaiseException(void *exception) {
    make_sure();
    return __real__Unwind_RaiseException(exception);
}

int __wrap__Unwind_Backtrace(void *each, void *argument) {
    make_sure();
    return __real__Unwind_Backtrace(each, argument);
}

void *__wrap__Unwind_FindEnclosingFunction(void *place) {
    make_sure();
    return __real__Unwind_FindEnclosingFunction(place);
}
