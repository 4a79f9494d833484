// SPDX-License-Identifier: GPL-2.0 OR MIT
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "layer.h"

#define ALIGN(n, unit)	(((n) + (unit) - 1) / (unit) * (unit))
#define MIN(a, b)	((a) < (b) ? (a) : (b))

uint32_t number(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

static void *filled(uint32_t *state, size_t count)
{
	uint8_t *bytes = malloc(count);

	for (size_t i = 0; i < count; i++)
		bytes[i] = number(state);
	return bytes;
}

void layer_generate(struct layer *layer, uint32_t seed, bool depthwise, struct shape in,
		    uint32_t out_channels, uint32_t kernel, uint32_t stride, uint32_t pad)
{
	uint32_t state = seed, kernels = depthwise ? 1 : out_channels;

	*layer = (struct layer) {
		.depthwise = depthwise,
		.in = in,
		.out = {
			.width = (in.width + 2 * pad - kernel) / stride + 1,
			.height = (in.height + 2 * pad - kernel) / stride + 1,
			.channels = depthwise ? in.channels : out_channels,
		},
		.kernel = kernel,
		.stride = stride,
		.pad = pad,
		.zero_in = 120,
		.zero_weights = 131,
		.zero_out = 100,
		.scale = 20000,
		.shift = depthwise ? 22 : 24,
		.input = filled(&state, in.width * in.height * in.channels),
		.weights = filled(&state, kernels * kernel * kernel * in.channels),
	};
	layer->bias = calloc(layer->out.channels, sizeof(*layer->bias));
	for (uint32_t oc = 0; oc < layer->out.channels; oc++)
		layer->bias[oc] = (int32_t)(number(&state) & 0xfff) - 2048;
}

void layer_generate_add(struct layer *layer, uint32_t seed)
{
	uint32_t state = seed;

	layer->add = filled(&state, layer->out.width * layer->out.height * layer->out.channels);
	layer->zero_add = 90;
	layer->add_scale = 24000;
	layer->add_shift = 6;
}

void layer_free(struct layer *layer)
{
	free(layer->add);
	free(layer->input);
	free(layer->weights);
	free(layer->bias);
	memset(layer, 0, sizeof(*layer));
}

static uint8_t weight(const struct layer *l, uint32_t oc, uint32_t ky, uint32_t kx, uint32_t ic)
{
	if (l->depthwise)
		oc = 0;
	return l->weights[((oc * l->kernel + ky) * l->kernel + kx) * l->in.channels + ic];
}

static int64_t sum_at(const struct layer *l, uint32_t oy, uint32_t ox, uint32_t oc)
{
	uint32_t first = l->depthwise ? oc : 0;
	uint32_t last = l->depthwise ? oc + 1 : l->in.channels;
	int64_t sum = l->bias[oc];

	for (uint32_t ky = 0; ky < l->kernel; ky++) {
		for (uint32_t kx = 0; kx < l->kernel; kx++) {
			int32_t y = oy * l->stride + ky - l->pad;
			int32_t x = ox * l->stride + kx - l->pad;

			if (y < 0 || x < 0 || y >= l->in.height || x >= l->in.width)
				continue;
			for (uint32_t ic = first; ic < last; ic++) {
				int a = l->input[(y * l->in.width + x) * l->in.channels + ic];

				sum += (a - l->zero_in) *
				       (weight(l, oc, ky, kx, ic) - l->zero_weights);
			}
		}
	}
	return sum;
}

uint8_t *layer_reference(const struct layer *l)
{
	uint8_t *output = malloc(l->out.width * l->out.height * l->out.channels);
	uint8_t *at = output;

	for (uint32_t y = 0; y < l->out.height; y++) {
		for (uint32_t x = 0; x < l->out.width; x++) {
			for (uint32_t c = 0; c < l->out.channels; c++) {
				double value = sum_at(l, y, x, c);

				if (l->add)
					value += ldexp(((double)l->add[at - output] - l->zero_add) *
						       l->add_scale, -(int)l->add_shift);
				value = ldexp(value * l->scale, -(int)l->shift);
				value = round(value) + l->zero_out;
				*at++ = value < 0 ? 0 : value > 255 ? 255 : value;
			}
		}
	}
	return output;
}

uint32_t packed_size(struct shape shape)
{
	return shape.width * shape.height * ALIGN(shape.channels, 16);
}

void layer_pack_input(const struct layer *l, uint8_t *packed)
{
	for (uint32_t group = 0; group < l->in.channels; group += 16) {
		for (uint32_t pixel = 0; pixel < l->in.width * l->in.height; pixel++) {
			for (uint32_t c = group; c < group + 16; c++) {
				uint8_t value = l->zero_in;

				if (c < l->in.channels)
					value = l->input[pixel * l->in.channels + c];
				*packed++ = value - 128;
			}
		}
	}
}

uint8_t *layer_unpack_output(const struct layer *l, const uint8_t *packed)
{
	uint32_t pixels = l->out.width * l->out.height;
	uint8_t *output = malloc(pixels * l->out.channels);

	for (uint32_t pixel = 0; pixel < pixels; pixel++) {
		for (uint32_t c = 0; c < l->out.channels; c++)
			output[pixel * l->out.channels + c] =
				packed[(c / 16 * pixels + pixel) * 16 + c % 16] + 128;
	}
	return output;
}

/* In the order of the output. */
static void pack_add(const struct layer *l, uint8_t *packed)
{
	uint32_t pixels = l->out.width * l->out.height;

	for (uint32_t pixel = 0; pixel < pixels; pixel++) {
		for (uint32_t c = 0; c < l->out.channels; c++)
			packed[(c / 16 * pixels + pixel) * 16 + c % 16] =
				l->add[pixel * l->out.channels + c] - 128;
	}
}

static uint32_t kernels(const struct layer *l)
{
	return l->depthwise ? 1 : ALIGN(l->out.channels, 2);
}

static uint32_t weights_size(const struct layer *l)
{
	return l->kernel * l->kernel * ALIGN(l->in.channels, 16) * kernels(l);
}

/* Blocks of 32 output and 32 input channels (depthwise: 64 channels), position by position. */
static void pack_weights(const struct layer *l, uint8_t *packed)
{
	uint32_t all = ALIGN(l->in.channels, 16), unit = l->depthwise ? 64 : 32;

	for (uint32_t out = 0; out < kernels(l); out += 32)
	for (uint32_t in = 0; in < all; in += unit)
	for (uint32_t position = 0; position < l->kernel * l->kernel; position++)
	for (uint32_t oc = out; oc < MIN(kernels(l), out + 32); oc++)
	for (uint32_t ic = in; ic < MIN(all, in + unit); ic++) {
		bool known = ic < l->in.channels && (l->depthwise || oc < l->out.channels);
		uint8_t value = l->zero_weights;

		if (known)
			value = weight(l, oc, position / l->kernel, position % l->kernel, ic);
		*packed++ = value - 128;
	}
}

/* What the input's zero point adds to each sum is taken out of the bias. */
static void pack_bias(const struct layer *l, int32_t *packed)
{
	for (uint32_t oc = 0; oc < l->out.channels; oc++) {
		uint32_t first = l->depthwise ? oc : 0;
		uint32_t last = l->depthwise ? oc + 1 : l->in.channels;
		int32_t correction = 0;

		for (uint32_t position = 0; position < l->kernel * l->kernel; position++) {
			for (uint32_t ic = first; ic < last; ic++)
				correction += (weight(l, oc, position / l->kernel,
						      position % l->kernel, ic) -
					       l->zero_weights) * (l->zero_in - 128);
		}
		packed[oc] = l->bias[oc] - correction;
	}
}

int layer_load(const struct npu *npu, const struct layer *layer, struct loaded *loaded)
{
	int ret;

	memset(loaded, 0, sizeof(*loaded));
	ret = npu_bo_create(npu, packed_size(layer->in), &loaded->input);
	if (!ret)
		ret = npu_bo_create(npu, weights_size(layer), &loaded->weights);
	if (!ret)
		ret = npu_bo_create(npu, 4 * layer->out.channels, &loaded->bias);
	if (!ret)
		ret = npu_bo_create(npu, packed_size(layer->out), &loaded->output);
	if (!ret && layer->add)
		ret = npu_bo_create(npu, packed_size(layer->out), &loaded->add);
	if (ret) {
		layer_unload(loaded);
		return ret;
	}
	layer_pack_input(layer, loaded->input.map);
	pack_weights(layer, loaded->weights.map);
	pack_bias(layer, (int32_t *)loaded->bias.map);
	if (layer->add) {
		pack_add(layer, loaded->add.map);
		npu_bo_fini(&loaded->add);
	}
	npu_bo_fini(&loaded->input);
	npu_bo_fini(&loaded->weights);
	npu_bo_fini(&loaded->bias);
	return 0;
}

void layer_unload(struct loaded *loaded)
{
	struct npu_bo *all[] = {
		&loaded->input, &loaded->weights, &loaded->bias, &loaded->add, &loaded->output,
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (all[i]->handle)
			npu_bo_destroy(all[i]);
	}
}

/* Targets of a list's words. */
#define CNA		0x0201
#define CORE		0x0801
#define DPU		0x1001
#define RDMA		0x2001
#define PC		0x0101
#define BARRIER		0x0041
#define START		0x0081

static uint64_t word(uint64_t target, uint64_t reg, uint32_t value)
{
	return target << 48 | (uint64_t)value << 16 | reg;
}

uint32_t layer_list(const struct layer *l, const struct loaded *at, const struct next *next,
		    uint64_t *words)
{
	uint32_t channels = ALIGN(l->in.channels, 16), area = l->kernel * l->kernel;
	uint32_t unit = l->depthwise ? 64 : 32, out = ALIGN(l->out.channels, unit);
	uint32_t mode = l->depthwise ? 3 : 0, pixels = l->out.width * l->out.height;
	uint32_t size = (l->out.height - 1) << 16 | (l->out.width - 1);
	/* Both groups of registers are used in turn. */
	uint32_t pointer = 1 << 3 | 1 << 2 | 1 << 1;
	uint32_t line = 4 * l->in.width, count = 0;
	/* Surfaces of what is added, which two units read in turn. */
	uint32_t surface = l->add ? pixels * 16 : 0;

#define PUT(target, reg, value)	(words[count++] = word(target, reg, value))
	PUT(CNA, 0x1040, 11 << 4 | 1);				/* CBUF_CON0: banks */
	PUT(CNA, 0x1104, 0);					/* DCOMP_REGNUM */
	PUT(CNA, 0x1100, 0);					/* DCOMP_CTRL */
	PUT(CNA, 0x100c, mode);					/* CONV_CON1 */
	PUT(CNA, 0x1010, (50 + l->stride + 1) << 4);		/* CONV_CON2 */
	PUT(CNA, 0x1014, l->stride << 3 | l->stride);		/* CONV_CON3 */
	PUT(CNA, 0x1020, l->in.width << 16 | l->in.height);	/* DATA_SIZE0 */
	PUT(CNA, 0x1024, (l->in.channels - 1) << 16 | channels);	/* DATA_SIZE1 */
	PUT(CNA, 0x1028, l->out.width);				/* DATA_SIZE2 */
	PUT(CNA, 0x102c, pixels);				/* DATA_SIZE3 */
	PUT(CNA, 0x1030, area * channels * kernels(l));		/* WEIGHT_SIZE0 */
	PUT(CNA, 0x1034, area * channels);			/* WEIGHT_SIZE1 */
	PUT(CNA, 0x1038, l->kernel << 24 | l->kernel << 16 | kernels(l)); /* WEIGHT_SIZE2 */
	PUT(CNA, 0x104c, 1 << 3 | 1 << 1 | 1);			/* CVT_CON0: as it is */
	PUT(CNA, 0x1060, 0);					/* FC_CON0 */
	PUT(CNA, 0x1068, l->pad << 4 | l->pad);			/* PAD_CON0 */
	PUT(CNA, 0x1070, at->input.iova);			/* FEATURE_DATA_ADDR */
	PUT(CNA, 0x1078, 15 << 16 | 15);			/* DMA_CON0 */
	PUT(CNA, 0x107c, line);					/* DMA_CON1 */
	PUT(CNA, 0x1080, (l->in.width * l->in.height - line) & 0xfffffff); /* DMA_CON2 */
	PUT(CNA, 0x1110, at->weights.iova);			/* DCOMP_ADDR0 */
	PUT(CNA, 0x1180, 0);					/* CVT_CON5 */
	PUT(CNA, 0x1184, l->zero_in - 128);			/* PAD_CON1 */
	PUT(CORE, 0x3010, mode ? 3 : 1);			/* MISC_CFG */
	PUT(CORE, 0x3014, size);				/* DATAOUT_SIZE_0 */
	PUT(CORE, 0x3018, out - 1);				/* DATAOUT_SIZE_1 */
	PUT(CORE, 0x301c, 0);					/* CLIP_TRUNCATE */
	PUT(CORE, 0x3030, 0);
	PUT(DPU, 0x4004, pointer);				/* S_POINTER */
	PUT(DPU, 0x400c, 15 << 5 | mode << 3 | 2 << 1);		/* FEATURE_MODE_CFG */
	PUT(DPU, 0x4010, 0);					/* DATA_FORMAT */
	PUT(DPU, 0x4020, at->output.iova);			/* DST_BASE_ADDR */
	PUT(DPU, 0x4024, pixels << 4);				/* DST_SURF_STRIDE */
	PUT(DPU, 0x4030, l->out.width - 1);			/* DATA_CUBE_WIDTH */
	PUT(DPU, 0x4034, l->out.height - 1);			/* DATA_CUBE_HEIGHT */
	PUT(DPU, 0x4038, 0);					/* DATA_CUBE_NOTCH_ADDR */
	PUT(DPU, 0x403c, (l->out.channels - 1) << 16 | (out - 1)); /* DATA_CUBE_CHANNEL */
	PUT(DPU, 0x4040, 2 << 16 | 1 << 8 | 1 << 6 | 1 << 4);	/* BS_CFG: add the bias */
	PUT(DPU, 0x4054, (128 - l->zero_weights) & 0xffff);	/* BS_OW_OP */
	PUT(DPU, 0x4058, out - 1);				/* WDMA_SIZE_0 */
	PUT(DPU, 0x405c, size);					/* WDMA_SIZE_1 */
	PUT(DPU, 0x4060, 1 << 6 | 1 << 4 | 1 << 1 | 1);		/* BN_CFG: nothing */
	if (l->add)						/* EW_CFG: add bytes from memory */
		PUT(DPU, 0x4070, 1u << 31 | 1 << 28 | 1 << 22 | 2 << 16 | 1 << 9 | 1 << 7 | 1 << 6);
	else							/* EW_CFG: nothing */
		PUT(DPU, 0x4070, 1 << 9 | 1 << 8 | 1 << 7 | 1 << 1 | 1);
	PUT(DPU, 0x4074, l->add ? 128 - l->zero_add : 0);	/* EW_CVT_OFFSET_VALUE */
	PUT(DPU, 0x4078, l->add_shift << 16 | l->add_scale);	/* EW_CVT_SCALE_VALUE */
	PUT(DPU, 0x4080, l->zero_out - 128);			/* OUT_CVT_OFFSET */
	PUT(DPU, 0x4084, l->scale);				/* OUT_CVT_SCALE */
	PUT(DPU, 0x4088, l->shift);				/* OUT_CVT_SHIFT */
	PUT(DPU, 0x40c0, (pixels * (mode ? 4 : 2)) << 4);	/* SURFACE_ADD */
	PUT(DPU, 0x4108, 0);					/* LUT_CFG */
	PUT(RDMA, 0x5004, pointer);				/* S_POINTER */
	PUT(RDMA, 0x500c, l->out.width - 1);			/* DATA_CUBE_WIDTH */
	PUT(RDMA, 0x5010, l->out.height - 1);			/* DATA_CUBE_HEIGHT */
	PUT(RDMA, 0x5014, out - 1);				/* DATA_CUBE_CHANNEL */
	PUT(RDMA, 0x5018, at->add.iova);			/* SRC_BASE_ADDR: even surfaces */
	PUT(RDMA, 0x501c, 1 << 1);				/* BRDMA_CFG: the bias */
	PUT(RDMA, 0x5020, at->bias.iova);			/* BS_BASE_ADDR */
	PUT(RDMA, 0x5034, l->add ? 1 << 30 | 1 << 2 : 1);	/* ERDMA_CFG: bytes, or none */
	PUT(RDMA, 0x5038, at->add.iova + surface);		/* EW_BASE_ADDR: odd surfaces */
	PUT(RDMA, 0x5040, surface);				/* EW_SURF_STRIDE */
	PUT(RDMA, 0x5044, 15 << 11 | (l->add ? 5 << 8 : 1 << 4) | mode << 1); /* FEATURE_MODE_CFG */
	PUT(RDMA, 0x504c, surface);				/* SURF_NOTCH */
	PUT(RDMA, 0x506c, surface);				/* EW_SURF_NOTCH */
	if (count % 2)
		words[count++] = 0;
	PUT(PC, 0x0010, next ? next->iova : 0);			/* BASE_ADDRESS */
	PUT(PC, 0x0014, next ? next->words / 2 - 1 : 0);	/* REGISTER_AMOUNTS */
	PUT(BARRIER, 0, 0);
	/* CNA, CORE, DPU and DPU_RDMA. */
	PUT(START, 0x0008, 1 << 4 | 1 << 3 | 1 << 2 | 1);
#undef PUT
	return count;
}

int lists_create(const struct npu *npu, struct lists *lists)
{
	lists->count = 0;
	return npu_bo_create(npu, LISTS * LIST_WORDS * sizeof(uint64_t), &lists->bo);
}

void lists_destroy(struct lists *lists)
{
	npu_bo_destroy(&lists->bo);
}

void lists_add(struct lists *lists, const struct layer *layer, const struct loaded *loaded)
{
	uint32_t offset = lists->count * LIST_WORDS * sizeof(uint64_t);
	struct drm_rocket_task *task = &lists->tasks[lists->count++];

	task->regcmd = lists->bo.iova + offset;
	task->regcmd_count = layer_list(layer, loaded, NULL,
					(uint64_t *)(lists->bo.map + offset));
	npu_bo_fini(&lists->bo);
}

int chain_create(const struct npu *npu, const struct layer *layer, const struct loaded *loaded,
		 uint32_t count, bool linked, struct chain *chain)
{
	int ret = npu_bo_create(npu, count * LIST_WORDS * sizeof(uint64_t), &chain->bo);

	return ret ?: chain_write(layer, loaded, count, linked, chain);
}

int chain_write(const struct layer *layer, const struct loaded *loaded, uint32_t count, bool linked,
		struct chain *chain)
{
	const uint32_t stride = LIST_WORDS * sizeof(uint64_t);
	uint64_t words[LIST_WORDS];

	chain->count = count;
	chain->tasks = calloc(count, sizeof(*chain->tasks));
	if (!chain->tasks) {
		npu_bo_destroy(&chain->bo);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < count; i++) {
		struct next next = { chain->bo.iova + (i + 1) * stride, 0 };

		next.words = layer_list(layer, loaded, NULL, words);
		chain->tasks[i].regcmd = chain->bo.iova + i * stride;
		chain->tasks[i].regcmd_count =
			layer_list(layer, loaded, linked && i + 1 < count ? &next : NULL,
				   (uint64_t *)(chain->bo.map + i * stride));
	}
	return npu_bo_fini(&chain->bo);
}

void chain_destroy(struct chain *chain)
{
	npu_bo_destroy(&chain->bo);
	free(chain->tasks);
}

uint32_t distance(const uint8_t *a, const uint8_t *b, size_t count)
{
	uint32_t most = 0;

	for (size_t i = 0; i < count; i++) {
		uint32_t here = abs(a[i] - b[i]);

		if (here > most)
			most = here;
	}
	return most;
}

int layer_check(const struct layer *layer, const struct loaded *loaded)
{
	size_t count = layer->out.width * layer->out.height * layer->out.channels;
	uint8_t *expected, *got;
	int ret = npu_bo_prep(&loaded->output, PATIENCE);

	if (ret)
		return ret;
	expected = layer_reference(layer);
	got = layer_unpack_output(layer, loaded->output.map);
	ret = distance(expected, got, count);
	free(expected);
	free(got);
	npu_bo_fini(&loaded->output);
	return ret;
}
