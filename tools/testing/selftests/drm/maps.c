// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Random binds in several VMs at once. After each call, the whole window of the VM is compared with a
 * simple map: for each page, what the model's table walker finds. Meanwhile a job of each VM reads
 * pages that share tables with the window, and one in the middle of it, around which everything changes.
 * Between two such jobs, some read other pages of the window.
 *
 * DRM_TEST_BINDS says how many operations there are for each VM, DRM_TEST_SEED is where to begin.
 */
#include <pthread.h>
#include <stdlib.h>

#include "hwmodel.h"
#include "setting.h"
#include "suite.h"

#define READONLY	DRM_PANTHOR_VM_BIND_OP_MAP_READONLY
#define NOEXEC		DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC
#define UNCACHED	DRM_PANTHOR_VM_BIND_OP_MAP_UNCACHED
#define SPARSE		DRM_PANTHOR_VM_BIND_OP_MAP_SPARSE
#define UNMAP		DRM_PANTHOR_VM_BIND_OP_TYPE_UNMAP

#define VMS		3
#define BOS		2
#define BO_PAGES	700u
#define BLOCK_PAGES	512u
/* The window begins and ends inside of blocks, whose other pages the job reads. */
#define BASE		0x80000000ull
#define FIRST		(BASE + 8 * PAGE)
#define PAGES		(3 * BLOCK_PAGES - 16)
#define ANCHOR_BELOW	BASE
#define ANCHOR_ABOVE	(FIRST + PAGES * PAGE)
/* Where the buffers are mapped as a whole, to know where their pages are. */
#define LINEAR		0x200000000ull
/* Each VM has something at an address of its own, to be known by. */
#define BEACON		0x400000000ull
#define MOST_OPS	8u
/* While one job reads: so many calls, or so long, which is well below the driver's time-out. */
#define ROUND		40u
#define ROUND_NS	(SECOND / 2)

/* What is mapped at a page: a page of a buffer, counted from 1, and how; or sparse. */
struct expected {
	uint32_t page;
	uint32_t flags;
};

struct vm_under_test {
	struct rig rig;
	unsigned int index;
	unsigned int as_nr;
	uint32_t random;
	uint32_t out;
	uint32_t kept;		/* page of the window that the job reads meanwhile; PAGES for none */
	uint64_t ops, calls, queued;
	struct bo bo[BOS];
	uint64_t pa[BOS * BO_PAGES];
	uint64_t sparse_pa[BLOCK_PAGES];	/* behind sparse mappings; repeats with every block */
	uint64_t attributes[2];		/* cached, uncached */
	struct expected map[PAGES];
	uint64_t leaves[PAGES];
	char error[160];
};

FIXTURE(maps)
{
	struct vm_under_test *vm[VMS];
	uint64_t binds;
	uint32_t seed;
};

static uint32_t draw(struct vm_under_test *vm, uint32_t below)
{
	vm->random ^= vm->random << 13;
	vm->random ^= vm->random >> 17;
	vm->random ^= vm->random << 5;
	return vm->random % below;
}

#define FAIL(vm, ...) (snprintf((vm)->error, sizeof((vm)->error), __VA_ARGS__), -1)

/* The address space that the VM is in, which it has to be; else -ENOENT. */
static int find_space(struct vm_under_test *vm)
{
	uint64_t leaf;

	for (unsigned int as_nr = 1; as_nr < HWMODEL_SPACES; as_nr++) {
		if (hwmodel_leaves(as_nr, BEACON + vm->index * PAGE, 1, &leaf) || !leaf)
			continue;
		vm->as_nr = as_nr;
		return 0;
	}
	return -ENOENT;
}

/* A length that is often small, and sometimes as large as it can be. */
static uint32_t draw_length(struct vm_under_test *vm, uint32_t most)
{
	uint32_t below = draw(vm, 3) ? 16 : most;

	return 1 + draw(vm, below < most ? below : most);
}

/* Leaves out the page that a job reads, and what is on the other side of it. */
static void avoid_kept(const struct vm_under_test *vm, uint32_t *start, uint32_t *length)
{
	if (*start > vm->kept || *start + *length <= vm->kept)
		return;
	if (*start < vm->kept) {
		*length = vm->kept - *start;
	} else if (*start + 1 < PAGES) {
		++*start;
		*length = *length > 1 ? *length - 1 : 1;
	} else {
		--*start;
	}
}

static struct drm_panthor_vm_bind_op draw_op(struct vm_under_test *vm)
{
	uint32_t kind = draw(vm, 100), start = draw(vm, PAGES), length, bo, page;
	struct drm_panthor_vm_bind_op op = { 0 };
	struct expected first = { 0 };

	/* Some at the beginning of a block, so that there are whole ones. */
	if (!draw(vm, 4))
		start = BLOCK_PAGES - 8 + draw(vm, 2) * BLOCK_PAGES;
	length = draw_length(vm, PAGES - start);
	avoid_kept(vm, &start, &length);
	if (kind < 45) {
		bo = draw(vm, BOS);
		if (length > BO_PAGES)
			length = BO_PAGES;
		page = draw(vm, BO_PAGES - length + 1);
		op.flags = draw(vm, 8);
		op.bo_handle = vm->bo[bo].handle;
		op.bo_offset = page * PAGE;
		first.page = 1 + bo * BO_PAGES + page;
		first.flags = op.flags;
	} else if (kind < 65) {
		op.flags = SPARSE | NOEXEC | draw(vm, 8);
		first.flags = op.flags;
	} else {
		op.flags = UNMAP;
	}
	op.va = FIRST + start * PAGE;
	op.size = length * PAGE;
	for (uint32_t i = 0; i < length; i++) {
		vm->map[start + i] = first;
		if (first.page)
			first.page++;
	}
	return op;
}

static int compare(struct vm_under_test *vm)
{
	if (hwmodel_leaves(vm->as_nr, FIRST, PAGES, vm->leaves))
		return FAIL(vm, "no answer from the model");
	for (uint32_t i = 0; i < PAGES; i++) {
		const struct expected *is = &vm->map[i];
		uint64_t va = FIRST + i * PAGE, want = 0, leaf = vm->leaves[i];

		if (is->page || is->flags) {
			want = is->page ? vm->pa[is->page - 1] :
					  vm->sparse_pa[va / PAGE % BLOCK_PAGES];
			want |= is->flags & READONLY ? LEAF_READONLY : 0;
			want |= is->flags & NOEXEC ? LEAF_NOEXEC : 0;
			want |= vm->attributes[!!(is->flags & UNCACHED)];
			leaf &= LEAF_ADDRESS | LEAF_READONLY | LEAF_NOEXEC | LEAF_ATTRIBUTES;
		}
		if (leaf != want)
			return FAIL(vm, "page %u of VM %u after %llu operations: 0x%llx, not 0x%llx",
				    i, vm->index, (unsigned long long)vm->ops,
				    (unsigned long long)vm->leaves[i], (unsigned long long)want);
	}
	return 0;
}

/* One call of several operations, waited for if it is queued. */
static int bind_some(struct vm_under_test *vm)
{
	struct drm_panthor_vm_bind_op ops[MOST_OPS];
	struct drm_panthor_sync_op sync = sync_signal_op(vm->out, 0);
	struct rig *rig = &vm->rig;
	uint32_t count = 1 + draw(vm, MOST_OPS);
	int ret;

	for (uint32_t i = 0; i < count; i++)
		ops[i] = draw_op(vm);
	if (draw(vm, 2)) {
		ops[count - 1].syncs =
			(struct drm_panthor_obj_array)DRM_PANTHOR_OBJ_ARRAY(1, &sync);
		ret = vm_bind_async(&rig->gpu, rig->vm, ops, count);
		if (!ret)
			ret = sync_wait(&rig->gpu, vm->out, 0, PATIENCE);
		if (!ret && sync_status(&rig->gpu, vm->out) != 1)
			ret = -EIO;
		vm->queued++;
	} else {
		ret = vm_bind_ops(&rig->gpu, rig->vm, ops, count);
	}
	vm->ops += count;
	vm->calls++;
	return ret ? FAIL(vm, "a bind failed: %d", ret) : 0;
}

/* A page of the window that has a buffer, if one is found. */
static void choose_kept(struct vm_under_test *vm)
{
	vm->kept = PAGES;
	for (int i = 0; i < 32; i++) {
		uint32_t page = draw(vm, PAGES);

		if (vm->map[page].page) {
			vm->kept = page;
			return;
		}
	}
}

/*
 * Reads both anchors and the page that is kept until data[8] is set, and leaves in data[9] whether all
 * was as it should be. The VM is in an address space meanwhile.
 */
static int start_reader(struct vm_under_test *vm)
{
	struct rig *rig = &vm->rig;
	struct cs cs = rig_stream(rig, 8);
	uint64_t kept_va = ANCHOR_BELOW + PAGE;
	uint32_t kept_value = 2;
	size_t again, end;
	int ret;

	choose_kept(vm);
	if (vm->kept < PAGES) {
		kept_va = FIRST + vm->kept * PAGE;
		kept_value = vm->map[vm->kept].page;
	}

	rig->data.u32[8] = 0;
	rig->data.u32[9] = 0;
	rig->data.u32[10] = 0;
	cs_move48(&cs, 20, ANCHOR_BELOW + PAGE);
	cs_move48(&cs, 22, ANCHOR_ABOVE + 7 * PAGE);
	cs_move48(&cs, 24, rig->data.va + 8 * 4);
	cs_move48(&cs, 30, kept_va);
	cs_move32(&cs, 29, 2);
	cs_store32(&cs, 29, 24, 8);
	again = cs.len;
	cs_load(&cs, 26, 1, 20, 0);
	cs_load(&cs, 27, 1, 22, 0);
	cs_load(&cs, 32, 1, 30, 0);
	cs_load(&cs, 28, 1, 24, 0);
	cs_wait(&cs, CS_SB_LS);
	/* Page 1 of the first buffer, page 7 of the second. */
	cs_add32(&cs, 26, 26, -2);
	cs_add32(&cs, 27, 27, -(int32_t)(1 + BO_PAGES + 7));
	cs_add32(&cs, 32, 32, -(int32_t)kept_value);
	end = cs.len + 5;
	cs_branch(&cs, CS_NEQUAL, 26, end);
	cs_branch(&cs, CS_NEQUAL, 27, end);
	cs_branch(&cs, CS_NEQUAL, 32, end);
	cs_branch(&cs, CS_EQUAL, 28, again);
	cs_move32(&cs, 29, 1);
	cs_store32(&cs, 29, 24, 4);
	ret = group_run(&rig->gpu, rig->group, 1, rig_stream_va(rig, &cs), cs_bytes(&cs), rig->sync);
	if (!ret)
		ret = rig_wait_word(rig, 10, 2);
	return ret ? ret : find_space(vm);
}

static int stop_reader(struct vm_under_test *vm)
{
	struct rig *rig = &vm->rig;

	rig->data.u32[8] = 1;
	if (rig_wait(rig) != 1)
		return FAIL(vm, "the job that reads meanwhile failed");
	if (rig->data.u32[9] != 1)
		return FAIL(vm, "a job has read something else, beside the window or at page %u",
			    vm->kept);
	vm->kept = PAGES;
	return 0;
}

static int prepare_vm(struct vm_under_test *vm)
{
	struct rig *rig = &vm->rig;
	struct gpu *gpu = &rig->gpu;
	uint64_t leaf;

	if (rig_open(rig, 2) || sync_create(gpu, false, &vm->out))
		return FAIL(vm, "no rig");
	for (uint32_t i = 0; i < BOS; i++) {
		if (rig_numbered_bo(rig, BO_PAGES * PAGE, 1 + i * BO_PAGES, &vm->bo[i]) ||
		    vm_map(gpu, rig->vm, vm->bo[i].handle, 0, LINEAR + i * BO_PAGES * PAGE,
			   BO_PAGES * PAGE, NOEXEC))
			return FAIL(vm, "no buffer");
	}
	if (vm_map(gpu, rig->vm, vm->bo[0].handle, 0, BEACON + vm->index * PAGE, PAGE, NOEXEC) ||
	    vm_map(gpu, rig->vm, vm->bo[0].handle, 0, ANCHOR_BELOW, 8 * PAGE, NOEXEC) ||
	    vm_map(gpu, rig->vm, vm->bo[1].handle, 0, ANCHOR_ABOVE, 8 * PAGE, NOEXEC) ||
	    vm_map(gpu, rig->vm, vm->bo[0].handle, 0, FIRST, PAGE, NOEXEC | UNCACHED) ||
	    vm_map(gpu, rig->vm, 0, 0, BASE + BLOCK, BLOCK, SPARSE | NOEXEC))
		return FAIL(vm, "no mappings to begin with");
	if (start_reader(vm) || hwmodel_leaves(vm->as_nr, LINEAR, BOS * BO_PAGES, vm->pa))
		return FAIL(vm, "in no address space");
	vm->attributes[0] = vm->pa[0] & LEAF_ATTRIBUTES;
	for (uint32_t i = 0; i < BOS * BO_PAGES; i++)
		vm->pa[i] &= LEAF_ADDRESS;
	hwmodel_leaves(vm->as_nr, FIRST, 1, &leaf);
	vm->attributes[1] = leaf & LEAF_ATTRIBUTES;
	hwmodel_leaves(vm->as_nr, BASE + BLOCK, BLOCK_PAGES, vm->sparse_pa);
	for (uint32_t i = 0; i < BLOCK_PAGES; i++)
		vm->sparse_pa[i] &= LEAF_ADDRESS;
	if (vm_unmap(gpu, rig->vm, FIRST, PAGES * PAGE))
		return FAIL(vm, "unmap");
	/* By rule E3: whether memory is cached is a matter of each mapping. */
	if (vm->attributes[0] == vm->attributes[1])
		return FAIL(vm, "cached and uncached mappings look the same");
	return stop_reader(vm);
}

/* A job reads some page in the window, if there is a buffer. */
static int read_some(struct vm_under_test *vm)
{
	uint32_t value, i = draw(vm, PAGES);
	int ret;

	if (!vm->map[i].page)
		return 0;
	ret = rig_peek(&vm->rig, FIRST + i * PAGE, &value);
	if (ret != 1)
		return FAIL(vm, "a read of page %u failed: %d", i, ret);
	if (value != vm->map[i].page)
		return FAIL(vm, "page %u reads as %u, not %u", i, value, vm->map[i].page);
	return 0;
}

struct task {
	struct vm_under_test *vm;
	uint64_t binds;
	pthread_barrier_t *ready;
	int ret;
};

static void *run(void *data)
{
	struct task *task = data;
	struct vm_under_test *vm = task->vm;
	int ret = prepare_vm(vm);
	int64_t end;

	pthread_barrier_wait(task->ready);
	while (!ret && vm->ops < task->binds) {
		ret = start_reader(vm);
		if (ret)
			ret = FAIL(vm, "no reader: %d", ret);
		end = now_ns() + ROUND_NS;
		for (uint32_t i = 0; !ret && i < ROUND && now_ns() < end; i++) {
			ret = bind_some(vm);
			if (!ret)
				ret = compare(vm);
		}
		if (!ret)
			ret = stop_reader(vm);
		for (uint32_t i = 0; !ret && i < 4; i++)
			ret = read_some(vm);
	}
	task->ret = ret;
	return NULL;
}

FIXTURE_SETUP(maps)
{
	if (!hwmodel_present())
		SKIP(return, "needs a table walker to compare with");
	self->binds = setting("DRM_TEST_BINDS", 2000);
	self->seed = setting("DRM_TEST_SEED", 1);
	for (unsigned int i = 0; i < VMS; i++) {
		self->vm[i] = calloc(1, sizeof(*self->vm[i]));
		ASSERT_NE(NULL, self->vm[i]);
		self->vm[i]->index = i;
		self->vm[i]->random = (self->seed + i) * 2654435761u | 1;
	}
}

FIXTURE_TEARDOWN(maps)
{
	for (unsigned int i = 0; i < VMS; i++) {
		if (self->vm[i])
			rig_close(&self->vm[i]->rig);
		free(self->vm[i]);
	}
}

TEST_F_TIMEOUT(maps, the_tables_are_what_a_simple_map_says_after_each_of_many_random_binds, 3000)
{
	pthread_barrier_t ready;
	pthread_t thread[VMS];
	struct task task[VMS];

	pthread_barrier_init(&ready, NULL, VMS);
	for (unsigned int i = 0; i < VMS; i++) {
		task[i] = (struct task){ self->vm[i], self->binds, &ready, 0 };
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, run, &task[i]));
	}
	for (unsigned int i = 0; i < VMS; i++) {
		ASSERT_EQ(0, pthread_join(thread[i], NULL));
		EXPECT_EQ(0, task[i].ret) {
			TH_LOG("seed %u: %s", self->seed, self->vm[i]->error);
		}
		TH_LOG("VM %u: %llu operations in %llu calls, %llu of them queued", i,
		       (unsigned long long)self->vm[i]->ops,
		       (unsigned long long)self->vm[i]->calls,
		       (unsigned long long)self->vm[i]->queued);
	}
}

TEST_HARNESS_MAIN
