/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * Quantised layers: from their definition to what the NPU wants, and back. The reference is
 * calculated from the definition, on tensors in plain order and in floating point.
 */
#ifndef SELFTEST_LAYER_H
#define SELFTEST_LAYER_H

#include "npu.h"

struct shape {
	uint32_t width, height, channels;
};

struct layer {
	bool depthwise;
	struct shape in, out;
	uint32_t kernel, stride, pad;
	uint8_t zero_in, zero_weights, zero_out;
	/* Results are sums times scale / 2^shift. */
	uint32_t scale, shift;
	/* [y][x][channel] */
	uint8_t *input;
	/* [out channel][ky][kx][channel], of a depthwise layer [ky][kx][channel] */
	uint8_t *weights;
	int32_t *bias;
	/*
	 * Added to the sums, [y][x][channel] as the output, NULL for nothing. Less zero_add, times add_scale
	 * / 2^add_shift.
	 */
	uint8_t *add;
	uint8_t zero_add;
	uint32_t add_scale, add_shift;
};

/* A layer in the NPU's memory. @input and @output may belong to somebody else. No @add if nothing is added. */
struct loaded {
	struct npu_bo input, weights, bias, add, output;
};

/* Numbers that look random and are the same in every run. */
uint32_t number(uint32_t *state);

/* With generated numbers. @out_channels counts for layers that are not depthwise. */
void layer_generate(struct layer *layer, uint32_t seed, bool depthwise, struct shape in,
		    uint32_t out_channels, uint32_t kernel, uint32_t stride, uint32_t pad);
/* Has it add a generated tensor. */
void layer_generate_add(struct layer *layer, uint32_t seed);
void layer_free(struct layer *layer);

/* The output in plain order, of layer->out. To be freed. */
uint8_t *layer_reference(const struct layer *layer);

/* Bytes of a cube in the NPU's order. */
uint32_t packed_size(struct shape shape);
void layer_pack_input(const struct layer *layer, uint8_t *packed);
/* The output in plain order. To be freed. */
uint8_t *layer_unpack_output(const struct layer *layer, const uint8_t *packed);

/* Creates the buffers and fills those that the layer reads. 0 or a negative errno. */
int layer_load(const struct npu *npu, const struct layer *layer, struct loaded *loaded);
void layer_unload(struct loaded *loaded);

/* Words of a layer's register list, at most. */
#define LIST_WORDS	128

/* Where a chain goes on. */
struct next {
	uint32_t iova, words;
};

/* Writes the list and returns its number of words, which are even. @next is NULL for the last. */
uint32_t layer_list(const struct layer *layer, const struct loaded *loaded, const struct next *next,
		    uint64_t *words);

/* Lists in one buffer. */
#define LISTS		16

struct lists {
	struct npu_bo bo;
	struct drm_rocket_task tasks[LISTS];
	uint32_t count;
};

int lists_create(const struct npu *npu, struct lists *lists);
void lists_destroy(struct lists *lists);
/* Adds a layer's list. */
void lists_add(struct lists *lists, const struct layer *layer, const struct loaded *loaded);

/* Lists that go on to the next one by themselves, or could. */
struct chain {
	struct npu_bo bo;
	struct drm_rocket_task *tasks;
	uint32_t count;
};

/* The same layer again and again. */
int chain_create(const struct npu *npu, const struct layer *layer, const struct loaded *loaded,
		 uint32_t count, bool linked, struct chain *chain);
/* The same in a buffer that is there already, and gone if this fails. */
int chain_write(const struct layer *layer, const struct loaded *loaded, uint32_t count, bool linked,
		struct chain *chain);
void chain_destroy(struct chain *chain);

/* Largest difference between two tensors of bytes. */
uint32_t distance(const uint8_t *a, const uint8_t *b, size_t count);
/* Waits for the output and compares it with the reference: the distance, or a negative errno. */
int layer_check(const struct layer *layer, const struct loaded *loaded);

#endif
