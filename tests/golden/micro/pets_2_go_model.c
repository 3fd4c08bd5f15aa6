/* Pets-2.go 1.2.3-rc.1+5, variant int8: written by edgepack export, not to be edited. */
#include "pets_2_go_model.h"

#if defined(__cplusplus) && __cplusplus >= 201103L
#define PETS_2_GO_MODEL_ALIGNED alignas(PETS_2_GO_MODEL_ALIGNMENT)
#elif !defined(__cplusplus) && defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define PETS_2_GO_MODEL_ALIGNED _Alignas(PETS_2_GO_MODEL_ALIGNMENT)
#elif defined(__GNUC__) || defined(__ARMCC_VERSION) || defined(__ICCARM__)
#define PETS_2_GO_MODEL_ALIGNED __attribute__((aligned(PETS_2_GO_MODEL_ALIGNMENT)))
#else
#error "this compiler is not told here how to align an array"
#endif

const unsigned long pets_2_go_model_bytes = PETS_2_GO_MODEL_BYTES;

PETS_2_GO_MODEL_ALIGNED const unsigned char pets_2_go_model[PETS_2_GO_MODEL_BYTES] = {
    0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff, 0x00, 0x01, 0x02, 0x03, 0x04, 0x05,
    0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x10, 0x11,
    0x12, 0x13,
};
