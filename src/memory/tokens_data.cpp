#include "memory/tokens_data.h"

// The assembler reads the file: no array for a compiler to chew on. AWM_CL100K_FILE comes from CMakeLists.txt.
#ifdef __APPLE__
#define AWM_SYMBOL(name) "_" name
#define AWM_SECTION ".const_data"
#define AWM_END_SECTION ".text"
#else
#define AWM_SYMBOL(name) name
#define AWM_SECTION ".pushsection .rodata"
#define AWM_END_SECTION ".popsection"
#endif

asm(AWM_SECTION
    "\n"
    ".globl " AWM_SYMBOL("awm_cl100k_begin") "\n"
    ".globl " AWM_SYMBOL("awm_cl100k_end") "\n"
    AWM_SYMBOL("awm_cl100k_begin") ":\n"
    ".incbin \"" AWM_CL100K_FILE "\"\n"
    AWM_SYMBOL("awm_cl100k_end") ":\n"
    ".byte 0\n" AWM_END_SECTION "\n");

extern "C" {
extern const unsigned char awm_cl100k_begin[];
extern const unsigned char awm_cl100k_end[];
}

namespace awm {

std::span<const unsigned char> cl100k_base_data() {
  return {awm_cl100k_begin, awm_cl100k_end};
}

}  // namespace awm
