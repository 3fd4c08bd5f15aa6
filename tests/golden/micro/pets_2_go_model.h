/* Pets-2.go 1.2.3-rc.1+5, variant int8: written by edgepack export, not to be edited. */
#ifndef PETS_2_GO_MODEL_H_
#define PETS_2_GO_MODEL_H_

#define PETS_2_GO_MODEL_NAME "Pets-2.go"
#define PETS_2_GO_MODEL_VERSION "1.2.3-rc.1+5"
#define PETS_2_GO_MODEL_VARIANT "int8"
#define PETS_2_GO_MODEL_SHA256 "6e5c24849c67d1f1f75b67a84d74317476d7b08b700b93d75cf9b3c493e63c8c"
#define PETS_2_GO_MODEL_BYTES 26
#define PETS_2_GO_MODEL_ALIGNMENT 16

/* Tensor arena, measured by tflite-micro==1.0; an array that starts at a multiple of 16.
   Kernels of others, such as CMSIS-NN, take more: measure it on the device. */
#define PETS_2_GO_MODEL_ARENA_BYTES 1234

#ifdef __cplusplus
extern "C" {
#endif

extern const unsigned char pets_2_go_model[PETS_2_GO_MODEL_BYTES];
extern const unsigned long pets_2_go_model_bytes;

#ifdef __cplusplus
}
#endif

#endif /* PETS_2_GO_MODEL_H_ */
