// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * A small quantised network on the NPU: first layer by layer, each compared with a reference that
 * the CPU calculates, then as a whole in one call, then three times at once, so that all cores
 * have work. Prints what each step cost in register accesses, interrupts and IOMMU operations, if
 * the hardware model counts them. Runs unchanged on every driver that speaks the uAPI.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hwmodel.h"
#include "layer.h"
#include "npu.h"
#include "report.h"

#define FILES	3

struct step {
	const char *name;
	bool depthwise;
	uint32_t out_channels, kernel, stride, pad;
};

/* From a picture of 24 x 24 to ten classes. */
static const struct step steps[] = {
	{ "convolution 3x3, stride 2", false, 32, 3, 2, 1 },
	{ "depthwise 3x3", true, 0, 3, 1, 1 },
	{ "pointwise 1x1", false, 64, 1, 1, 0 },
	{ "depthwise 3x3, stride 2", true, 0, 3, 2, 1 },
	{ "pointwise 1x1", false, 96, 1, 1, 0 },
	{ "convolution 3x3, stride 2", false, 64, 3, 2, 1 },
	{ "classes 3x3", false, 10, 3, 1, 0 },
};

#define LAYERS	(sizeof(steps) / sizeof(steps[0]))

struct network {
	struct npu npu;
	struct lists lists;
	struct layer layers[LAYERS];
	struct loaded loaded[LAYERS];
	struct drm_rocket_job jobs[LAYERS];
};

static unsigned long long cost(const char *name)
{
	unsigned long long count = 0;

	step_cost(name, &count);
	return count;
}

static void end_npu_step(void)
{
	unsigned long long tasks[] = { cost("npu0_task"), cost("npu1_task"), cost("npu2_task") };

	if (!hwmodel_present()) {
		say("cost: nobody counts here (no hardware model)");
		return;
	}
	say("cost: %llu register reads, %llu writes; %llu kicks, %llu interrupts; "
	    "%llu tasks (%llu, %llu and %llu on the cores)",
	    cost("npu_mmio_read"), cost("npu_mmio_write"), cost("npu_kick"), cost("irq_npu"),
	    tasks[0] + tasks[1] + tasks[2], tasks[0], tasks[1], tasks[2]);
	say("      IOMMU banks: %llu tables, %llu times on, %llu times off, %llu zaps; "
	    "%llu multiplications",
	    cost("iommu_table"), cost("iommu_enable"), cost("iommu_disable"), cost("iommu_zap"),
	    cost("npu_mac"));
}

/* Layers, each reading what the one before it writes. */
static bool network_open(struct network *n, uint32_t seed)
{
	struct shape shape = { 24, 24, 3 };

	memset(n, 0, sizeof(*n));
	if (npu_open(&n->npu) || lists_create(&n->npu, &n->lists))
		return false;
	for (size_t i = 0; i < LAYERS; i++) {
		const struct step *s = &steps[i];
		struct layer *layer = &n->layers[i];
		struct loaded *at = &n->loaded[i];

		layer_generate(layer, seed + i, s->depthwise, shape, s->out_channels, s->kernel,
			       s->stride, s->pad);
		if (layer_load(&n->npu, layer, at))
			return false;
		if (i) {
			layer->zero_in = n->layers[i - 1].zero_out;
			npu_bo_destroy(&at->input);
			layer_unload(at);
			if (layer_load(&n->npu, layer, at))
				return false;
			npu_bo_destroy(&at->input);
			at->input = n->loaded[i - 1].output;
		}
		lists_add(&n->lists, layer, at);
		n->jobs[i] = npu_job(&n->lists.tasks[i], 1, &at->input, &at->output);
		shape = layer->out;
	}
	return true;
}

static void network_close(struct network *n)
{
	for (size_t i = 0; i < LAYERS; i++) {
		if (i)
			memset(&n->loaded[i].input, 0, sizeof(n->loaded[i].input));
	}
	for (size_t i = 0; i < LAYERS; i++) {
		layer_unload(&n->loaded[i]);
		layer_free(&n->layers[i]);
	}
	lists_destroy(&n->lists);
	npu_close(&n->npu);
}

/* Compares every layer with its reference, given what the NPU has put into its input. */
static int compare(struct network *n, size_t layer)
{
	struct layer *l = &n->layers[layer];

	if (layer) {
		int ret = npu_bo_prep(&n->loaded[layer - 1].output, PATIENCE);

		if (ret)
			return ret;
		free(l->input);
		l->input = layer_unpack_output(&n->layers[layer - 1],
					       n->loaded[layer - 1].output.map);
		npu_bo_fini(&n->loaded[layer - 1].output);
	}
	return layer_check(l, &n->loaded[layer]);
}

static bool close_enough(int distance)
{
	return distance == 0 || distance == 1;
}

static void layer_by_layer(struct network *n)
{
	for (size_t i = 0; i < LAYERS; i++) {
		const struct layer *l = &n->layers[i];
		char text[128];
		int far;

		snprintf(text, sizeof(text), "Layer %zu: %s, %ux%ux%u to %ux%ux%u", i, steps[i].name,
			 l->in.width, l->in.height, l->in.channels, l->out.width, l->out.height,
			 l->out.channels);
		begin_step(text);
		if (!works(npu_submit(&n->npu, &n->jobs[i], 1), "submitted"))
			continue;
		far = compare(n, i);
		check(close_enough(far), "each of its %u results is within 1 of the reference (%d)",
		      l->out.width * l->out.height * l->out.channels, far);
		end_npu_step();
	}
}

static bool run_all(struct network *n)
{
	for (size_t i = 0; i < LAYERS; i++)
		memset(n->loaded[i].output.map, 0x55, n->loaded[i].output.size);
	return npu_submit(&n->npu, n->jobs, LAYERS) == 0;
}

static bool all_right(struct network *n)
{
	bool right = true;

	for (size_t i = 0; i < LAYERS; i++)
		right &= close_enough(compare(n, i));
	return right;
}

int main(void)
{
	static struct network networks[FILES];
	bool up = true;

	report_open();
	begin_step("The device");
	up = network_open(&networks[0], 1);
	check(up, "the node opens, and a network of %zu layers is in its memory", LAYERS);
	if (!up)
		return report_close("demo");
	say("node       %s", networks[0].npu.node);
	end_npu_step();

	layer_by_layer(&networks[0]);

	begin_step("The whole network in one call");
	check(run_all(&networks[0]), "submitted");
	check(all_right(&networks[0]), "every layer is within 1 of the reference");
	end_npu_step();

	begin_step("Three networks of three files at once");
	for (uint32_t i = 1; i < FILES; i++)
		up &= network_open(&networks[i], 1000 * i);
	check(up, "each file has a network of its own");
	for (uint32_t i = 0; i < FILES; i++)
		check(run_all(&networks[i]), "network %u submitted", i);
	for (uint32_t i = 0; i < FILES; i++)
		check(all_right(&networks[i]), "every layer of network %u is within 1 of the reference",
		      i);
	end_npu_step();

	for (uint32_t i = 0; i < FILES; i++)
		network_close(&networks[i]);
	return report_close("demo");
}
