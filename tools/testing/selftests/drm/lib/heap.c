// SPDX-License-Identifier: GPL-2.0 OR MIT
#include <stdio.h>

#include "heap.h"

void heap_pass(struct cs *cs, uint64_t tiler, uint64_t heap, uint32_t bytes)
{
	cs_move48(cs, 40, tiler);
	cs_move48(cs, 60, heap);
	cs_heap_set(cs, 60);
	cs_move32(cs, 33, bytes / VERTEX);
	cs_move32(cs, 34, 1);
	cs_heap_operation(cs, CS_TILING_STARTED);
	cs_run_idvs(cs);
	cs_wait(cs, CS_SB_ALL);
	cs_heap_operation(cs, CS_TILING_COMPLETED);
	cs_heap_operation(cs, CS_FRAGMENT_COMPLETED);
}

int heap_create(struct rig *rig, uint32_t vm, uint32_t page, uint32_t max_chunks,
		struct drm_panthor_tiler_heap_create *heap)
{
	uint64_t *tiler = rig->data.u64 + page * PAGE / 8, *desc = tiler + 32;
	int ret;

	*heap = (struct drm_panthor_tiler_heap_create){
		.vm_id = vm,
		.initial_chunk_count = 1,
		.chunk_size = CHUNK,
		.max_chunks = max_chunks,
		.target_in_flight = 4,
	};
	ret = gpu_ioctl(rig->gpu.fd, DRM_IOCTL_PANTHOR_TILER_HEAP_CREATE, heap);
	if (ret)
		return ret;
	tiler[3] = rig->data.va + page * PAGE + 256;
	desc[0] = (uint64_t)CHUNK << 32;
	desc[1] = heap->first_heap_chunk_gpu_va;
	desc[2] = heap->first_heap_chunk_gpu_va + HEADER;
	desc[3] = heap->first_heap_chunk_gpu_va + CHUNK;
	return 0;
}

int heap_destroy(struct rig *rig, uint32_t handle)
{
	struct drm_panthor_tiler_heap_destroy args = { .handle = handle };

	return gpu_ioctl(rig->gpu.fd, DRM_IOCTL_PANTHOR_TILER_HEAP_DESTROY, &args);
}

unsigned int heap_chunks(const struct gpu *gpu)
{
	FILE *file = gpu_debugfs(gpu, "gems");
	unsigned int found = 0, size, resident;
	char line[256], use[8];

	while (file && fgets(line, sizeof(line), file))
		found += sscanf(line, " %x %x %7s", &size, &resident, use) == 3 && size == CHUNK &&
			 use[0] == 'k';
	if (file)
		fclose(file);
	return found;
}

unsigned int heap_chunks_once_they_are(const struct gpu *gpu, unsigned int count)
{
	int64_t end = now_ns() + PATIENCE;

	while (heap_chunks(gpu) != count && now_ns() < end)
		sleep_ms(5);
	return heap_chunks(gpu);
}
