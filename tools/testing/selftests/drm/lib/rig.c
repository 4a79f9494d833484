// SPDX-License-Identifier: GPL-2.0 OR MIT
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "rig.h"

#define STREAM_BYTES	(RIG_BYTES / RIG_STREAMS)

int rig_open_on(struct rig *rig, const struct gpu *gpu, uint32_t queues, uint8_t priority)
{
	int ret;

	memset(rig, 0, sizeof(*rig));
	rig->gpu = *gpu;
	rig->queues = queues;
	ret = vm_create(gpu, 0, &rig->vm);
	if (ret)
		return ret;
	ret = bo_bound(gpu, rig->vm, RIG_BYTES, RIG_CODE_VA, 0, &rig->code);
	if (ret)
		goto err_vm;
	ret = bo_bound(gpu, rig->vm, RIG_BYTES, RIG_DATA_VA,
		       DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC | DRM_PANTHOR_VM_BIND_OP_MAP_UNCACHED,
		       &rig->data);
	if (ret)
		goto err_code;
	ret = sync_create(gpu, false, &rig->sync);
	if (ret)
		goto err_data;
	ret = group_create(gpu, rig->vm, queues, priority, &rig->group);
	if (ret)
		goto err_sync;
	return 0;

err_sync:
	sync_destroy(gpu, rig->sync);
err_data:
	bo_close(gpu, &rig->data);
err_code:
	bo_close(gpu, &rig->code);
err_vm:
	vm_destroy(gpu, rig->vm);
	return ret;
}

int rig_open(struct rig *rig, uint32_t queues)
{
	struct gpu gpu;
	int ret = gpu_open(&gpu);

	if (ret)
		return ret;
	ret = rig_open_on(rig, &gpu, queues, PANTHOR_GROUP_PRIORITY_MEDIUM);
	if (ret)
		gpu_close(&gpu);
	return ret;
}

void rig_release(struct rig *rig)
{
	group_destroy(&rig->gpu, rig->group);
	sync_destroy(&rig->gpu, rig->sync);
	bo_close(&rig->gpu, &rig->data);
	bo_close(&rig->gpu, &rig->code);
	vm_destroy(&rig->gpu, rig->vm);
}

void rig_abandon(struct rig *rig)
{
	munmap(rig->data.map, rig->data.size);
	munmap(rig->code.map, rig->code.size);
	gpu_close(&rig->gpu);
}

void rig_close(struct rig *rig)
{
	rig_release(rig);
	gpu_close(&rig->gpu);
}

struct cs rig_stream(struct rig *rig, unsigned int index)
{
	return cs_at((char *)rig->code.map + index * STREAM_BYTES, STREAM_BYTES);
}

uint64_t rig_stream_va(const struct rig *rig, const struct cs *cs)
{
	return rig->code.va + ((char *)cs->code - (char *)rig->code.map);
}

int rig_submit(struct rig *rig, uint32_t queue, const struct cs *cs)
{
	uint64_t va = cs->len ? rig_stream_va(rig, cs) : 0;

	return group_run(&rig->gpu, rig->group, queue, va, cs_bytes(cs), rig->sync);
}

int rig_wait(struct rig *rig)
{
	int ret = sync_wait(&rig->gpu, rig->sync, 0, PATIENCE);

	return ret ? ret : sync_status(&rig->gpu, rig->sync);
}

int rig_run(struct rig *rig, uint32_t queue, const struct cs *cs)
{
	int ret = rig_submit(rig, queue, cs);

	return ret ? ret : rig_wait(rig);
}

int rig_wait_word(struct rig *rig, size_t word, uint32_t value)
{
	volatile uint32_t *result = rig->data.u32 + word;
	int64_t end = now_ns() + PATIENCE;

	while (*result != value) {
		if (now_ns() > end)
			return -ETIME;
		sleep_ms(1);
	}
	return 0;
}

int rig_put(struct rig *rig, uint32_t value)
{
	struct cs cs = rig_stream(rig, 0);
	int ret;

	cs_put32(&cs, rig->data.va, value);
	ret = rig_run(rig, 0, &cs);
	return ret == 1 && rig->data.u32[0] != value ? -EIO : ret;
}

int rig_copy(struct rig *rig, uint64_t from, uint64_t to)
{
	struct cs cs = rig_stream(rig, 0);

	cs_move48(&cs, 10, from);
	cs_load(&cs, 12, 1, 10, 0);
	cs_wait(&cs, CS_SB_LS);
	cs_move48(&cs, 10, to);
	cs_store32(&cs, 12, 10, 0);
	return rig_run(rig, 0, &cs);
}

int rig_peek(struct rig *rig, uint64_t va, uint32_t *value)
{
	int ret;

	rig->data.u32[0] = 0xdeadbeef;
	ret = rig_copy(rig, va, rig->data.va);
	*value = rig->data.u32[0];
	return ret;
}

int rig_numbered_bo(struct rig *rig, uint64_t size, uint32_t first, struct bo *bo)
{
	int ret = bo_create(&rig->gpu, size, 0, 0, bo);

	if (!ret)
		ret = bo_mmap(&rig->gpu, bo);
	for (uint64_t page = 0; !ret && page < size / PAGE; page++)
		bo->u32[page * PAGE / 4] = first + page;
	return ret;
}

void cs_spin_while_zero(struct cs *cs, uint64_t flag_va)
{
	size_t again;

	cs_move48(cs, 70, flag_va);
	again = cs->len;
	cs_load(cs, 72, 1, 70, 0);
	cs_wait(cs, CS_SB_LS);
	cs_branch(cs, CS_EQUAL, 72, again);
}

void cs_put32(struct cs *cs, uint64_t va, uint32_t value)
{
	cs_move48(cs, 70, va);
	cs_move32(cs, 72, value);
	cs_store32(cs, 72, 70, 0);
}
