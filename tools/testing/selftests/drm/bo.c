// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Buffer objects, their CPU mappings, and the flush id page. */
#include <fcntl.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <unistd.h>

#include "suite.h"

FIXTURE(bo)
{
	struct gpu gpu;
};

FIXTURE_SETUP(bo)
{
	ASSERT_EQ(0, gpu_open(&self->gpu));
}

FIXTURE_TEARDOWN(bo)
{
	gpu_close(&self->gpu);
}

TEST_F(bo, the_size_is_rounded_up_to_whole_pages_and_returned)
{
	const uint64_t page = cpu_page();
	const struct {
		uint64_t asked, got;
	} sizes[] = {
		{ 1, page }, { 0x600, page }, { page, page }, { page + 1, 2 * page },
		{ BLOCK - 1, BLOCK }, { BLOCK, BLOCK }, { 5 * BLOCK + 8, 5 * BLOCK + page },
	};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct bo bo;

		ASSERT_EQ(0, bo_create(&self->gpu, sizes[i].asked, 0, 0, &bo));
		EXPECT_EQ(sizes[i].got, bo.size);
		EXPECT_NE(0, bo.handle);
		ASSERT_EQ(0, gem_close(&self->gpu, bo.handle));
	}
}

TEST_F(bo, a_new_buffer_is_zero)
{
	struct bo bo;

	/* Dirty some memory first, so that a page that was not cleared would show. */
	for (int round = 0; round < 4; round++) {
		ASSERT_EQ(0, bo_create(&self->gpu, 64 * PAGE, 0, 0, &bo));
		ASSERT_EQ(0, bo_mmap(&self->gpu, &bo));
		for (uint64_t word = 0; word < bo.size / 4; word++)
			ASSERT_EQ(0, bo.u32[word]);
		memset(bo.map, 0xa5, bo.size);
		ASSERT_EQ(0, bo_close(&self->gpu, &bo));
	}
}

TEST_F(bo, two_mappings_show_the_same_memory)
{
	struct bo bo;
	uint64_t offset;
	uint32_t *again;

	ASSERT_EQ(0, bo_create(&self->gpu, 2 * PAGE, 0, 0, &bo));
	ASSERT_EQ(0, bo_mmap(&self->gpu, &bo));
	ASSERT_EQ(0, bo_mmap_offset(&self->gpu, bo.handle, &offset));
	again = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, self->gpu.fd, offset);
	ASSERT_NE(MAP_FAILED, again);
	bo.u32[PAGE / 4 + 3] = 0x1234;
	EXPECT_EQ(0x1234, again[PAGE / 4 + 3]);
}

TEST_F(bo, a_mapping_outlives_the_handle)
{
	struct bo bo;

	ASSERT_EQ(0, bo_create(&self->gpu, PAGE, 0, 0, &bo));
	ASSERT_EQ(0, bo_mmap(&self->gpu, &bo));
	bo.u32[0] = 42;
	ASSERT_EQ(0, gem_close(&self->gpu, bo.handle));
	EXPECT_EQ(42, bo.u32[0]);
	bo.u32[1] = 43;
	EXPECT_EQ(43, bo.u32[1]);
}

TEST_F(bo, a_mapping_outlives_the_file)
{
	struct bo bo;

	ASSERT_EQ(0, bo_create(&self->gpu, PAGE, 0, 0, &bo));
	ASSERT_EQ(0, bo_mmap(&self->gpu, &bo));
	bo.u32[0] = 42;
	gpu_close(&self->gpu);
	EXPECT_EQ(42, bo.u32[0]);
}

TEST_F(bo, the_offset_is_the_same_each_time)
{
	struct bo bo;
	uint64_t first, second;

	ASSERT_EQ(0, bo_create(&self->gpu, PAGE, 0, 0, &bo));
	ASSERT_EQ(0, bo_mmap_offset(&self->gpu, bo.handle, &first));
	ASSERT_EQ(0, bo_mmap_offset(&self->gpu, bo.handle, &second));
	EXPECT_EQ(first, second);
	EXPECT_EQ(0, first % cpu_page());
}

TEST_F(bo, a_private_mapping_is_refused)
{
	struct bo bo;
	uint64_t offset;

	ASSERT_EQ(0, bo_create(&self->gpu, PAGE, 0, 0, &bo));
	ASSERT_EQ(0, bo_mmap_offset(&self->gpu, bo.handle, &offset));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, self->gpu.fd,
				   offset));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(bo, a_mapping_does_not_reach_beyond_the_buffer)
{
	struct bo bo;
	uint64_t offset;

	ASSERT_EQ(0, bo_create(&self->gpu, 2 * cpu_page(), 0, 0, &bo));
	ASSERT_EQ(0, bo_mmap_offset(&self->gpu, bo.handle, &offset));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 3 * cpu_page(), PROT_READ, MAP_SHARED, self->gpu.fd,
				   offset));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(bo, a_file_that_has_no_handle_cannot_map_it)
{
	struct gpu other;
	struct bo bo;
	uint64_t offset;

	ASSERT_EQ(0, gpu_open(&other));
	ASSERT_EQ(0, bo_create(&self->gpu, PAGE, 0, 0, &bo));
	ASSERT_EQ(0, bo_mmap_offset(&self->gpu, bo.handle, &offset));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, other.fd, offset));
	EXPECT_EQ(EACCES, errno);
	gpu_close(&other);
}

TEST_F(bo, a_buffer_that_is_not_to_be_mapped_has_no_offset)
{
	struct bo bo;
	uint64_t offset;

	ASSERT_EQ(0, bo_create(&self->gpu, PAGE, DRM_PANTHOR_BO_NO_MMAP, 0, &bo));
	EXPECT_EQ(-EPERM, bo_mmap_offset(&self->gpu, bo.handle, &offset));
}

TEST_F(bo, a_guessed_offset_does_not_map_what_is_not_to_be_mapped)
{
	struct bo yes, no;
	uint64_t offset;

	KNOWN_C_DEFECT(&self->gpu, "NO_MMAP is enforced in BO_MMAP_OFFSET only");
	ASSERT_EQ(0, bo_create(&self->gpu, PAGE, 0, 0, &yes));
	ASSERT_EQ(0, bo_create(&self->gpu, PAGE, DRM_PANTHOR_BO_NO_MMAP, 0, &no));
	ASSERT_EQ(0, bo_mmap_offset(&self->gpu, yes.handle, &offset));
	for (int64_t page = -64; page <= 64; page++) {
		if (page)
			ASSERT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->gpu.fd,
						   offset + page * cpu_page()));
	}
}

TEST_F(bo, write_back_mappings_work_like_others)
{
	struct bo bo;

	ASSERT_EQ(0, bo_create(&self->gpu, PAGE, DRM_PANTHOR_BO_WB_MMAP, 0, &bo));
	ASSERT_EQ(0, bo_mmap(&self->gpu, &bo));
	bo.u32[5] = 99;
	EXPECT_EQ(99, bo.u32[5]);
}

TEST_F(bo, an_exclusive_buffer_cannot_be_exported)
{
	struct drm_prime_handle prime = { 0 };
	uint32_t vm;
	struct bo bo;

	ASSERT_EQ(0, vm_create(&self->gpu, 0, &vm));
	ASSERT_EQ(0, bo_create(&self->gpu, PAGE, 0, vm, &bo));
	prime.handle = bo.handle;
	EXPECT_EQ(-EINVAL, gpu_ioctl(self->gpu.fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime));
}

TEST_F(bo, an_exported_buffer_comes_back_as_itself)
{
	struct drm_prime_handle prime = { .flags = DRM_CLOEXEC | DRM_RDWR, .fd = -1 };
	uint32_t exported;
	struct bo bo;

	ASSERT_EQ(0, bo_create(&self->gpu, PAGE, 0, 0, &bo));
	prime.handle = bo.handle;
	ASSERT_EQ(0, gpu_ioctl(self->gpu.fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime));
	exported = prime.fd;
	prime.handle = 0;
	ASSERT_EQ(0, gpu_ioctl(self->gpu.fd, DRM_IOCTL_PRIME_FD_TO_HANDLE, &prime));
	EXPECT_EQ(bo.handle, prime.handle);
	close(exported);
}

/* Memory of buffers, and of whoever else uses shmem, in KiB. */
static long shmem_kib(void)
{
	FILE *file = fopen("/proc/meminfo", "r");
	char line[128];
	long kib = -1;

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Shmem: %ld", &kib) == 1)
			break;
	}
	if (file)
		fclose(file);
	return kib;
}

/* Whether it gets down to that, give or take what others do meanwhile. */
static bool shmem_falls_to(long kib)
{
	for (int i = 0; i < 200; i++) {
		if (shmem_kib() < kib + 2048)
			return true;
		sleep_ms(10);
	}
	return false;
}

TEST_F(bo, a_closed_buffer_gives_its_memory_back)
{
	const uint64_t size = 32ull << 20;
	long before = shmem_kib();
	struct bo bo;

	if (before < 0)
		SKIP(return, "the kernel does not tell how much shmem there is");
	for (int i = 0; i < 4; i++) {
		ASSERT_EQ(0, bo_create(&self->gpu, size, 0, 0, &bo));
		ASSERT_EQ(0, bo_mmap(&self->gpu, &bo));
		memset(bo.map, 1, size);
		EXPECT_LE(before + 30 * 1024, shmem_kib());
		ASSERT_EQ(0, bo_close(&self->gpu, &bo));
		EXPECT_TRUE(shmem_falls_to(before));
	}
}

TEST_F(bo, a_bound_buffer_gives_its_memory_back_with_the_address_space)
{
	const uint64_t size = 32ull << 20;
	long before = shmem_kib();
	struct bo bo;
	uint32_t vm;

	if (before < 0)
		SKIP(return, "the kernel does not tell how much shmem there is");
	ASSERT_EQ(0, vm_create(&self->gpu, 0, &vm));
	ASSERT_EQ(0, bo_create(&self->gpu, size, 0, 0, &bo));
	ASSERT_EQ(0, vm_map(&self->gpu, vm, bo.handle, 0, 0x10000000, size, 0));
	ASSERT_EQ(0, gem_close(&self->gpu, bo.handle));
	EXPECT_LE(before + 30 * 1024, shmem_kib());
	/* A part of the mapping is enough to keep it. */
	ASSERT_EQ(0, vm_unmap(&self->gpu, vm, 0x10000000, size - PAGE));
	EXPECT_LE(before + 30 * 1024, shmem_kib());
	ASSERT_EQ(0, vm_destroy(&self->gpu, vm));
	EXPECT_TRUE(shmem_falls_to(before));
}

static int set_label(const struct gpu *gpu, uint32_t handle, const char *label, uint32_t pad)
{
	struct drm_panthor_bo_set_label args = {
		.handle = handle,
		.pad = pad,
		.label = (uintptr_t)label,
	};

	return gpu_ioctl(gpu->fd, DRM_IOCTL_PANTHOR_BO_SET_LABEL, &args);
}

TEST_F(bo, a_label_has_at_most_4096_bytes)
{
	char *label;
	struct bo bo;
	int ret;

	ASSERT_EQ(0, bo_create(&self->gpu, PAGE, 0, 0, &bo));
	ret = set_label(&self->gpu, bo.handle, "vertices", 0);
	SKIP_IF_NOT_OFFERED(ret, "BO_SET_LABEL");
	ASSERT_EQ(0, ret);
	EXPECT_EQ(0, set_label(&self->gpu, bo.handle, "", 0));
	EXPECT_EQ(0, set_label(&self->gpu, bo.handle, NULL, 0));

	label = malloc(8192);
	ASSERT_NE(NULL, label);
	memset(label, 'x', 8192);
	label[4095] = '\0';
	EXPECT_EQ(0, set_label(&self->gpu, bo.handle, label, 0));
	label[4095] = 'x';
	label[4096] = '\0';
	EXPECT_EQ(-E2BIG, set_label(&self->gpu, bo.handle, label, 0));
	free(label);
}

TEST_F(bo, a_label_needs_a_buffer_a_readable_string_and_no_padding)
{
	struct bo bo;
	int ret;

	ASSERT_EQ(0, bo_create(&self->gpu, PAGE, 0, 0, &bo));
	ret = set_label(&self->gpu, bo.handle, "x", 0);
	SKIP_IF_NOT_OFFERED(ret, "BO_SET_LABEL");
	EXPECT_EQ(-ENOENT, set_label(&self->gpu, 0x7fffffff, "x", 0));
	EXPECT_EQ(-EINVAL, set_label(&self->gpu, bo.handle, "x", 1));
	EXPECT_EQ(-EFAULT, set_label(&self->gpu, bo.handle, (const char *)8, 0));
}

/* The line of the buffer with this label in the debugfs file "gems", without the label; false if there is none. */
static bool find_gem(const char *label, char line[160])
{
	FILE *file = NULL;
	bool found = false;
	char path[64];

	for (int minor = 0; minor < 200 && !file; minor++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/dri/%d/gems", minor);
		file = fopen(path, "r");
	}
	while (file && !found && fgets(line, 160, file)) {
		char *at = strstr(line, label);

		found = at;
		if (at)
			*at = '\0';
	}
	if (file)
		fclose(file);
	return found;
}

TEST_F(bo, a_label_is_shown_in_debugfs_as_long_as_the_buffer_has_it)
{
	char line[160], use[8] = "";
	uint64_t size, resident;
	struct bo bo;

	if (gpu_is_c_driver(&self->gpu))
		SKIP(return, "the columns are those of the other driver");
	ASSERT_EQ(0, bo_create(&self->gpu, 3 * cpu_page(), 0, 0, &bo));
	ASSERT_EQ(0, set_label(&self->gpu, bo.handle, "blue\nvertices", 0));
	ASSERT_TRUE(find_gem("blue\\nvertices", line));
	ASSERT_EQ(3, sscanf(line, "%" SCNx64 " %" SCNx64 " %7s", &size, &resident, use));
	EXPECT_EQ(3 * cpu_page(), size);
	EXPECT_EQ(0, resident);
	EXPECT_STREQ("----", use);

	ASSERT_EQ(0, bo_mmap(&self->gpu, &bo));
	bo.u32[0] = 1;
	ASSERT_TRUE(find_gem("blue", line));
	ASSERT_EQ(2, sscanf(line, "%" SCNx64 " %" SCNx64, &size, &resident));
	EXPECT_EQ(3 * cpu_page(), resident);

	ASSERT_EQ(0, set_label(&self->gpu, bo.handle, NULL, 0));
	EXPECT_FALSE(find_gem("blue", line));
	ASSERT_EQ(0, set_label(&self->gpu, bo.handle, "green", 0));
	EXPECT_TRUE(find_gem("green", line));
	ASSERT_EQ(0, bo_close(&self->gpu, &bo));
	EXPECT_FALSE(find_gem("green", line));
}

/* By rule G6: how the CPU maps a buffer is asked for, for each one, and can be read back. */
TEST_F(bo, a_buffer_knows_the_flags_it_was_created_with)
{
	static const uint32_t flags[] = { 0, DRM_PANTHOR_BO_NO_MMAP, DRM_PANTHOR_BO_WB_MMAP };

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		struct drm_panthor_bo_query_info info = { .pad = 77 };
		struct bo bo;
		int ret;

		ASSERT_EQ(0, bo_create(&self->gpu, PAGE, flags[i], 0, &bo));
		info.handle = bo.handle;
		ret = gpu_ioctl(self->gpu.fd, DRM_IOCTL_PANTHOR_BO_QUERY_INFO, &info);
		SKIP_IF_NOT_OFFERED(ret, "BO_QUERY_INFO");
		ASSERT_EQ(0, ret);
		EXPECT_EQ(flags[i], info.create_flags);
		EXPECT_EQ(0, info.extra_flags);
		EXPECT_EQ(0, info.pad);
		info.handle = 0x7fffffff;
		EXPECT_EQ(-ENOENT, gpu_ioctl(self->gpu.fd, DRM_IOCTL_PANTHOR_BO_QUERY_INFO, &info));
	}
}

static int bo_sync(const struct gpu *gpu, struct drm_panthor_bo_sync_op *ops, uint32_t count)
{
	struct drm_panthor_bo_sync args = { .ops = DRM_PANTHOR_OBJ_ARRAY(count, ops) };

	return gpu_ioctl(gpu->fd, DRM_IOCTL_PANTHOR_BO_SYNC, &args);
}

TEST_F(bo, cache_maintenance_stays_within_the_buffer)
{
	struct drm_panthor_bo_sync_op op = { 0 };
	struct bo bo;
	int ret;

	ASSERT_EQ(0, bo_create(&self->gpu, 4 * PAGE, DRM_PANTHOR_BO_WB_MMAP, 0, &bo));
	ASSERT_EQ(0, bo_mmap(&self->gpu, &bo));
	bo.u32[0] = 1;
	ret = bo_sync(&self->gpu, NULL, 0);
	SKIP_IF_NOT_OFFERED(ret, "BO_SYNC");
	EXPECT_EQ(0, ret);

	op = (struct drm_panthor_bo_sync_op){ .handle = bo.handle, .size = 4 * PAGE };
	EXPECT_EQ(0, bo_sync(&self->gpu, &op, 1));
	op.type = DRM_PANTHOR_BO_SYNC_CPU_CACHE_FLUSH_AND_INVALIDATE;
	op.offset = 3;
	op.size = 100;
	EXPECT_EQ(0, bo_sync(&self->gpu, &op, 1));
	EXPECT_EQ(1, bo.u32[0]);
	op.type++;
	EXPECT_EQ(-EINVAL, bo_sync(&self->gpu, &op, 1));
	op.type = 0;
	op.offset = PAGE;
	op.size = bo.size;
	EXPECT_EQ(-EINVAL, bo_sync(&self->gpu, &op, 1));
	op.offset = UINT64_MAX;
	EXPECT_EQ(-EINVAL, bo_sync(&self->gpu, &op, 1));
	op = (struct drm_panthor_bo_sync_op){ .handle = 0x7fffffff, .size = PAGE };
	EXPECT_EQ(-ENOENT, bo_sync(&self->gpu, &op, 1));
}

TEST_F(bo, cache_maintenance_says_which_operation_has_failed)
{
	struct drm_panthor_bo_sync_op ops[4] = { { 0 } };
	struct drm_panthor_bo_sync args = { .ops = DRM_PANTHOR_OBJ_ARRAY(4, ops) };
	struct bo bo;

	KNOWN_C_DEFECT(&self->gpu, "BO_SYNC does not say which operation has failed");
	ASSERT_EQ(0, bo_create(&self->gpu, cpu_page(), DRM_PANTHOR_BO_WB_MMAP, 0, &bo));
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
		ops[i] = (struct drm_panthor_bo_sync_op){ .handle = bo.handle, .size = cpu_page() };
	ASSERT_EQ(0, gpu_ioctl(self->gpu.fd, DRM_IOCTL_PANTHOR_BO_SYNC, &args));
	EXPECT_EQ(4, args.ops.count);
	ops[2].offset = 1;
	EXPECT_EQ(-EINVAL, gpu_ioctl(self->gpu.fd, DRM_IOCTL_PANTHOR_BO_SYNC, &args));
	EXPECT_EQ(2, args.ops.count);
	args.ops.count = 4;
	ops[0].handle = 0x7fffffff;
	EXPECT_EQ(-ENOENT, gpu_ioctl(self->gpu.fd, DRM_IOCTL_PANTHOR_BO_SYNC, &args));
	EXPECT_EQ(0, args.ops.count);
}

FIXTURE(flush_id)
{
	struct gpu gpu;
};

FIXTURE_SETUP(flush_id)
{
	ASSERT_EQ(0, gpu_open(&self->gpu));
}

FIXTURE_TEARDOWN(flush_id)
{
	gpu_close(&self->gpu);
}

static volatile const uint32_t *map_flush_id(const struct gpu *gpu, size_t size, int prot,
					     int flags, uint64_t offset)
{
	return mmap(NULL, size, prot, flags, gpu->fd, offset);
}

/* By rules A7, B2: zero would mean a flush in any case, and never comes. */
TEST_F(flush_id, the_page_can_be_mapped_and_never_reads_as_zero)
{
	volatile const uint32_t *page = map_flush_id(&self->gpu, PAGE, PROT_READ, MAP_SHARED,
						     DRM_PANTHOR_USER_FLUSH_ID_MMIO_OFFSET);

	ASSERT_NE(MAP_FAILED, (void *)page);
	EXPECT_NE(0, *page);
	/* Long enough for the GPU to fall asleep. */
	for (int i = 0; i < 20; i++) {
		sleep_ms(10);
		ASSERT_NE(0, *page);
	}
}

/* By rule A7: one page, shared, for reading. */
TEST_F(flush_id, any_other_kind_of_mapping_is_refused)
{
	const struct {
		size_t size;
		int prot, flags;
	} bad[] = {
		{ PAGE, PROT_READ | PROT_WRITE, MAP_SHARED },
		{ PAGE, PROT_WRITE, MAP_SHARED },
		{ PAGE, PROT_READ | PROT_EXEC, MAP_SHARED },
		{ PAGE, PROT_READ, MAP_PRIVATE },
		{ 2 * cpu_page(), PROT_READ, MAP_SHARED },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(MAP_FAILED, (void *)map_flush_id(&self->gpu, bad[i].size, bad[i].prot,
							   bad[i].flags,
							   DRM_PANTHOR_USER_FLUSH_ID_MMIO_OFFSET)) {
			TH_LOG("case %zu", i);
		}
		EXPECT_EQ(EINVAL, errno);
	}
	EXPECT_EQ(MAP_FAILED, (void *)map_flush_id(&self->gpu, PAGE, PROT_READ, MAP_SHARED,
						   DRM_PANTHOR_USER_FLUSH_ID_MMIO_OFFSET +
						   cpu_page()));
}

/* By rule A7: mprotect() does not get around it. */
TEST_F(flush_id, the_mapping_cannot_be_made_writable_later)
{
	volatile const uint32_t *page = map_flush_id(&self->gpu, PAGE, PROT_READ, MAP_SHARED,
						     DRM_PANTHOR_USER_FLUSH_ID_MMIO_OFFSET);

	ASSERT_NE(MAP_FAILED, (void *)page);
	EXPECT_EQ(-1, mprotect((void *)page, PAGE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(EACCES, errno);
}

/* By rule A6: the offset of 32-bit processes fits 32 bits of page number and is no BO's offset. */
TEST_F(flush_id, the_offset_for_32_bit_programs_can_be_chosen)
{
	struct drm_panthor_set_user_mmio_offset args = {
		.offset = DRM_PANTHOR_USER_MMIO_OFFSET_32BIT,
	};
	volatile const uint32_t *page;
	uint64_t offset;
	struct bo bo;
	int ret;

	if (DRM_PANTHOR_USER_MMIO_OFFSET == DRM_PANTHOR_USER_MMIO_OFFSET_32BIT)
		SKIP(return, "programs of 32 bits have it from the start");
	EXPECT_GT(1ull << 44, DRM_PANTHOR_USER_MMIO_OFFSET_32BIT);
	ASSERT_EQ(0, bo_create(&self->gpu, PAGE, 0, 0, &bo));
	ASSERT_EQ(0, bo_mmap_offset(&self->gpu, bo.handle, &offset));
	EXPECT_LT(offset, DRM_PANTHOR_USER_MMIO_OFFSET_32BIT);

	EXPECT_EQ(MAP_FAILED, (void *)map_flush_id(&self->gpu, PAGE, PROT_READ, MAP_SHARED,
						   DRM_PANTHOR_USER_MMIO_OFFSET_32BIT));
	ret = gpu_ioctl(self->gpu.fd, DRM_IOCTL_PANTHOR_SET_USER_MMIO_OFFSET, &args);
	SKIP_IF_NOT_OFFERED(ret, "SET_USER_MMIO_OFFSET");
	ASSERT_EQ(0, ret);
	page = map_flush_id(&self->gpu, PAGE, PROT_READ, MAP_SHARED,
			    DRM_PANTHOR_USER_MMIO_OFFSET_32BIT);
	ASSERT_NE(MAP_FAILED, (void *)page);
	EXPECT_NE(0, *page);

	args.offset = DRM_PANTHOR_USER_MMIO_OFFSET_64BIT;
	EXPECT_EQ(0, gpu_ioctl(self->gpu.fd, DRM_IOCTL_PANTHOR_SET_USER_MMIO_OFFSET, &args));
	page = map_flush_id(&self->gpu, PAGE, PROT_READ, MAP_SHARED,
			    DRM_PANTHOR_USER_MMIO_OFFSET_64BIT);
	ASSERT_NE(MAP_FAILED, (void *)page);
	EXPECT_NE(0, *page);
}

TEST_F(flush_id, no_other_offset_can_be_chosen)
{
	static const uint64_t offsets[] = {
		0, 1, 1ull << 42, (1ull << 43) + PAGE, 1ull << 44, 1ull << 55, 1ull << 57,
	};
	struct drm_panthor_set_user_mmio_offset args = {
		.offset = DRM_PANTHOR_USER_MMIO_OFFSET_64BIT,
	};
	int ret = gpu_ioctl(self->gpu.fd, DRM_IOCTL_PANTHOR_SET_USER_MMIO_OFFSET, &args);

	SKIP_IF_NOT_OFFERED(ret, "SET_USER_MMIO_OFFSET");
	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		args.offset = offsets[i];
		EXPECT_EQ(-EINVAL, gpu_ioctl(self->gpu.fd, DRM_IOCTL_PANTHOR_SET_USER_MMIO_OFFSET,
					     &args));
	}
}

TEST_F(flush_id, it_moves_on_when_a_job_flushes)
{
	volatile const uint32_t *page = map_flush_id(&self->gpu, PAGE, PROT_READ, MAP_SHARED,
						     DRM_PANTHOR_USER_FLUSH_ID_MMIO_OFFSET);
	uint32_t count[2];
	struct rig rig;

	ASSERT_NE(MAP_FAILED, (void *)page);
	ASSERT_EQ(0, rig_open_on(&rig, &self->gpu, 1, PANTHOR_GROUP_PRIORITY_MEDIUM));
	for (uint32_t i = 0; i < 2; i++) {
		struct cs cs = rig_stream(&rig, i);

		rig.data.u32[0] = 0;
		cs_put32(&cs, rig.data.va + 4, i + 1);
		cs_spin_while_zero(&cs, rig.data.va);
		ASSERT_EQ(0, rig_submit(&rig, 0, &cs));
		/* The GPU is awake while a job runs. */
		ASSERT_EQ(0, rig_wait_word(&rig, 1, i + 1));
		count[i] = *page;
		rig.data.u32[0] = 1;
		ASSERT_EQ(1, rig_wait(&rig));
	}
	EXPECT_NE(count[0], count[1]);
	rig_release(&rig);
}

TEST_HARNESS_MAIN
