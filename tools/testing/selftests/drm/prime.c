// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Dma-bufs: buffers that others have made, by three exporters, and ours in the hands of others. The
 * module exporter.ko makes buffers that have no pages, and some that no importer can use.
 */
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/udmabuf.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "device.h"
#include "foreign.h"
#include "suite.h"

#define IMPORT_VA	0x40000000ull
#define PAGES		48u	/* whole pages of the CPU, whatever these have */

/* Exporters return a dma-buf or a negative errno; -ENOENT if they are not there. */
static int heap_buffer(uint64_t size)
{
	struct dma_heap_allocation_data args = { .len = size, .fd_flags = O_RDWR | O_CLOEXEC };
	int fd = open("/dev/dma_heap/system", O_RDWR | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return -errno;
	ret = gpu_ioctl(fd, DMA_HEAP_IOCTL_ALLOC, &args);
	close(fd);
	return ret ? ret : (int)args.fd;
}

static int udmabuf_buffer(uint64_t size)
{
	struct udmabuf_create args = { .size = size, .flags = UDMABUF_FLAGS_CLOEXEC };
	int fd = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return -errno;
	args.memfd = memfd_create("prime", MFD_ALLOW_SEALING | MFD_CLOEXEC);
	if (ftruncate(args.memfd, size) || fcntl(args.memfd, F_ADD_SEALS, F_SEAL_SHRINK))
		ret = -1;
	else
		ret = ioctl(fd, UDMABUF_CREATE, &args);
	if (ret < 0)
		ret = -errno;
	close(args.memfd);
	close(fd);
	return ret;
}

static int exporter_buffer(uint64_t size)
{
	return exporter_buffer_with(size, 0);
}

/* What a count comes to; files that a process has closed may take a moment to be gone. */
static bool falls_to(uint32_t want, uint32_t (*count)(void))
{
	for (int i = 0; i < 500; i++) {
		if (count() == want)
			return true;
		sleep_ms(10);
	}
	return false;
}

static uint32_t count_mapped(void)
{
	return exporter_info().mapped;
}

static uint32_t count_attached(void)
{
	return exporter_info().attached;
}

static uint32_t count_buffers(void)
{
	return exporter_info().buffers;
}

static int prime_import(const struct gpu *gpu, int fd, uint32_t *handle)
{
	struct drm_prime_handle args = { .fd = fd };
	int ret = gpu_ioctl(gpu->fd, DRM_IOCTL_PRIME_FD_TO_HANDLE, &args);

	*handle = args.handle;
	return ret;
}

/* A dma-buf, or a negative errno. */
static int prime_export(const struct gpu *gpu, uint32_t handle, uint32_t flags)
{
	struct drm_prime_handle args = { .handle = handle, .flags = DRM_CLOEXEC | flags, .fd = -1 };
	int ret = gpu_ioctl(gpu->fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &args);

	return ret ? ret : args.fd;
}

static uint32_t *map_fd(int fd, uint64_t size)
{
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return map == MAP_FAILED ? NULL : map;
}

/* The first word of each page says which it is. */
static void number(uint32_t *words, uint32_t pages, uint32_t first)
{
	for (uint32_t page = 0; page < pages; page++)
		words[page * (PAGE / 4)] = first + page;
}

static ino_t inode(int fd)
{
	struct stat st = { 0 };

	fstat(fd, &st);
	return st.st_ino;
}

FIXTURE(import)
{
	struct rig rig;
	int buf;
	uint32_t *map;		/* of the dma-buf itself */
	uint32_t handle;
	bool bound;
};

FIXTURE_VARIANT(import)
{
	int (*make)(uint64_t size);
};

FIXTURE_VARIANT_ADD(import, heap) { .make = heap_buffer };
FIXTURE_VARIANT_ADD(import, udmabuf) { .make = udmabuf_buffer };
FIXTURE_VARIANT_ADD(import, exporter) { .make = exporter_buffer };

FIXTURE_SETUP(import)
{
	self->buf = variant->make(PAGES * PAGE);
	if (self->buf == -ENOENT)
		SKIP(return, "there is no such exporter");
	ASSERT_LE(0, self->buf);
	ASSERT_EQ(0, rig_open(&self->rig, 1));
	self->bound = true;
	self->map = map_fd(self->buf, PAGES * PAGE);
	ASSERT_NE(NULL, self->map);
	number(self->map, PAGES, 1000);
	ASSERT_EQ(0, prime_import(&self->rig.gpu, self->buf, &self->handle));
}

FIXTURE_TEARDOWN(import)
{
	if (!self->bound)
		device_bind(&self->rig.gpu);
	gpu_close(&self->rig.gpu);
}

/* By rule G8: DMA addresses are all that is needed. */
TEST_F(import, the_gpu_reads_and_writes_the_memory_of_the_exporter)
{
	struct rig *rig = &self->rig;
	uint32_t value;

	ASSERT_EQ(0, vm_map(&rig->gpu, rig->vm, self->handle, 0, IMPORT_VA, PAGES * PAGE, 0));
	for (uint32_t page = 0; page < PAGES; page += 13) {
		ASSERT_EQ(1, rig_peek(rig, IMPORT_VA + page * PAGE, &value));
		EXPECT_EQ(1000 + page, value);
	}
	rig->data.u32[0] = 77;
	ASSERT_EQ(1, rig_copy(rig, rig->data.va, IMPORT_VA + 3 * PAGE + 8));
	EXPECT_EQ(77, self->map[3 * (PAGE / 4) + 2]);
}

TEST_F(import, a_part_of_it_can_be_mapped_anywhere)
{
	struct rig *rig = &self->rig;
	uint32_t value;

	ASSERT_EQ(0, vm_map(&rig->gpu, rig->vm, self->handle, 5 * PAGE, IMPORT_VA + BLOCK - PAGE,
			    3 * PAGE, 0));
	for (uint32_t page = 0; page < 3; page++) {
		ASSERT_EQ(1, rig_peek(rig, IMPORT_VA + BLOCK - PAGE + page * PAGE, &value));
		EXPECT_EQ(1005 + page, value);
	}
	EXPECT_EQ(-EINVAL, vm_map(&rig->gpu, rig->vm, self->handle, 0, IMPORT_VA,
				  (PAGES + 1) * PAGE, 0));
	EXPECT_EQ(-EINVAL, vm_map(&rig->gpu, rig->vm, self->handle, PAGES * PAGE, IMPORT_VA, PAGE,
				  0));
}

TEST_F(import, the_gpu_does_not_write_what_is_mapped_for_reading)
{
	struct rig *rig = &self->rig;
	uint32_t value;

	ASSERT_EQ(0, vm_map(&rig->gpu, rig->vm, self->handle, 0, IMPORT_VA, PAGE,
			    DRM_PANTHOR_VM_BIND_OP_MAP_READONLY));
	ASSERT_EQ(1, rig_peek(rig, IMPORT_VA, &value));
	EXPECT_EQ(1000, value);
	EXPECT_GT(0, rig_copy(rig, rig->data.va, IMPORT_VA));
	EXPECT_EQ(1000, self->map[0]);
}

TEST_F(import, its_offset_maps_the_memory_of_the_exporter)
{
	const struct gpu *gpu = &self->rig.gpu;
	uint64_t offset;
	uint32_t *map;

	ASSERT_EQ(0, bo_mmap_offset(gpu, self->handle, &offset));
	map = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, gpu->fd, offset);
	ASSERT_NE(MAP_FAILED, map);
	EXPECT_EQ(1007, map[7 * (PAGE / 4)]);
	map[1] = 4711;
	EXPECT_EQ(4711, self->map[1]);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, (PAGES + 1) * PAGE, PROT_READ, MAP_SHARED, gpu->fd, offset));
	EXPECT_EQ(EINVAL, errno);
	/* It is the exporter's mapping, so it stays when the import goes. */
	ASSERT_EQ(0, gem_close(gpu, self->handle));
	EXPECT_EQ(1007, map[7 * (PAGE / 4)]);
}

TEST_F(import, it_says_that_it_is_one)
{
	struct drm_panthor_bo_query_info info = { .handle = self->handle, .pad = 77 };
	const struct gpu *gpu = &self->rig.gpu;

	ASSERT_EQ(0, gpu_ioctl(gpu->fd, DRM_IOCTL_PANTHOR_BO_QUERY_INFO, &info));
	EXPECT_EQ(DRM_PANTHOR_BO_IS_IMPORTED, info.extra_flags);
	EXPECT_EQ(0, info.create_flags);
	EXPECT_EQ(0, info.pad);
}

TEST_F(import, its_caches_are_the_exporters_business)
{
	struct drm_panthor_bo_sync_op op = { .handle = self->handle, .size = PAGE };
	struct drm_panthor_bo_sync args = { .ops = DRM_PANTHOR_OBJ_ARRAY(1, &op) };
	struct dma_buf_sync sync = { .flags = DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW };

	EXPECT_EQ(-EINVAL, gpu_ioctl(self->rig.gpu.fd, DRM_IOCTL_PANTHOR_BO_SYNC, &args));
	EXPECT_EQ(0, gpu_ioctl(self->buf, DMA_BUF_IOCTL_SYNC, &sync));
	sync.flags = DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW;
	EXPECT_EQ(0, gpu_ioctl(self->buf, DMA_BUF_IOCTL_SYNC, &sync));
}

TEST_F(import, the_same_buffer_has_one_handle_and_one_export)
{
	const struct gpu *gpu = &self->rig.gpu;
	uint32_t again;
	int fd;

	ASSERT_EQ(0, prime_import(gpu, self->buf, &again));
	EXPECT_EQ(self->handle, again);
	fd = prime_export(gpu, self->handle, DRM_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_EQ(inode(self->buf), inode(fd));
	close(fd);
}

TEST_F(import, another_file_has_an_import_of_its_own)
{
	struct rig other;
	uint32_t handle, value;

	ASSERT_EQ(0, rig_open(&other, 1));
	ASSERT_EQ(0, prime_import(&other.gpu, self->buf, &handle));
	ASSERT_EQ(0, gem_close(&self->rig.gpu, self->handle));
	ASSERT_EQ(0, vm_map(&other.gpu, other.vm, handle, 0, IMPORT_VA, PAGE, 0));
	ASSERT_EQ(1, rig_peek(&other, IMPORT_VA, &value));
	EXPECT_EQ(1000, value);
	rig_close(&other);
}

TEST_F(import, it_outlives_what_the_exporter_has_given_out)
{
	struct rig *rig = &self->rig;
	uint32_t value;

	ASSERT_EQ(0, munmap(self->map, PAGES * PAGE));
	close(self->buf);
	ASSERT_EQ(0, vm_map(&rig->gpu, rig->vm, self->handle, 0, IMPORT_VA, PAGES * PAGE, 0));
	ASSERT_EQ(0, gem_close(&rig->gpu, self->handle));
	ASSERT_EQ(1, rig_peek(rig, IMPORT_VA + 39 * PAGE, &value));
	EXPECT_EQ(1039, value);
}

TEST_F(import, an_unbind_ends_the_access_of_the_device_and_nothing_else)
{
	struct rig *rig = &self->rig;
	uint64_t offset;
	uint32_t *map, handle;
	struct gpu gpu;

	ASSERT_EQ(0, vm_map(&rig->gpu, rig->vm, self->handle, 0, IMPORT_VA, PAGES * PAGE, 0));
	ASSERT_EQ(0, bo_mmap_offset(&rig->gpu, self->handle, &offset));
	map = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, rig->gpu.fd, offset);
	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(0, device_unbind(&rig->gpu));
	self->bound = false;
	EXPECT_EQ(1001, map[PAGE / 4]);
	EXPECT_EQ(1001, self->map[PAGE / 4]);
	EXPECT_EQ(-ENODEV, prime_import(&rig->gpu, self->buf, &handle));
	ASSERT_EQ(0, device_bind(&rig->gpu));
	self->bound = true;
	/* The same buffer, by the device that is there now. */
	ASSERT_EQ(0, device_reopen(&gpu));
	EXPECT_EQ(0, prime_import(&gpu, self->buf, &handle));
	gpu_close(&gpu);
	rig_abandon(rig);
	EXPECT_EQ(1001, map[PAGE / 4]);
}

FIXTURE(exporter)
{
	struct gpu gpu;
};

FIXTURE_SETUP(exporter)
{
	if (access(EXPORTER_NODE, F_OK))
		SKIP(return, "exporter.ko is not loaded");
	ASSERT_EQ(0, gpu_open(&self->gpu));
}

FIXTURE_TEARDOWN(exporter)
{
	gpu_close(&self->gpu);
}

TEST_F(exporter, it_gets_back_what_was_imported)
{
	int buf = exporter_buffer(PAGES * PAGE);
	uint32_t handle, vm;

	ASSERT_LE(0, buf);
	ASSERT_EQ(0, vm_create(&self->gpu, 0, &vm));
	for (int round = 0; round < 3; round++) {
		ASSERT_EQ(0, prime_import(&self->gpu, buf, &handle));
		EXPECT_EQ(1, exporter_info().attached);
		EXPECT_EQ(1, exporter_info().mapped);
		ASSERT_EQ(0, vm_map(&self->gpu, vm, handle, 0, IMPORT_VA, PAGES * PAGE, 0));
		ASSERT_EQ(0, gem_close(&self->gpu, handle));
		EXPECT_EQ(1, exporter_info().mapped);
		ASSERT_EQ(0, vm_unmap(&self->gpu, vm, IMPORT_VA, PAGES * PAGE));
		EXPECT_TRUE(falls_to(0, count_mapped));
		EXPECT_TRUE(falls_to(0, count_attached));
	}
	close(buf);
	EXPECT_TRUE(falls_to(0, count_buffers));
}

/*
 * By rule G8: the GPU's pages are its own. Where those of the CPU are larger, a table may begin and end inside of
 * them; where they are not, this one is like any other.
 */
TEST_F(exporter, pieces_of_the_cpus_pages_are_bound_in_the_order_of_the_table)
{
	const uint64_t size = 2 * cpu_page();
	const uint32_t pieces = cpu_page() / PAGE;
	int buf = exporter_buffer_with(size, EXPORTER_PIECES);
	uint32_t handle, value, *map;
	struct rig rig;

	ASSERT_LE(0, buf);
	map = map_fd(buf, size);
	ASSERT_NE(NULL, map);
	number(map, 2 * pieces, 500);
	ASSERT_EQ(0, rig_open_on(&rig, &self->gpu, 1, PANTHOR_GROUP_PRIORITY_MEDIUM));
	ASSERT_EQ(0, prime_import(&self->gpu, buf, &handle));
	ASSERT_EQ(0, vm_map(&self->gpu, rig.vm, handle, 0, IMPORT_VA, size, 0));
	for (uint32_t page = 0; page < 2 * pieces; page++) {
		ASSERT_EQ(1, rig_peek(&rig, IMPORT_VA + page * PAGE, &value));
		EXPECT_EQ(500 + page / pieces * pieces + pieces - 1 - page % pieces, value);
	}
	ASSERT_EQ(0, vm_unmap(&self->gpu, rig.vm, IMPORT_VA, size));
	/* One page of the GPU, from the middle of one of the CPU. */
	ASSERT_EQ(0, vm_map(&self->gpu, rig.vm, handle, size - PAGE, IMPORT_VA, PAGE, 0));
	ASSERT_EQ(1, rig_peek(&rig, IMPORT_VA, &value));
	EXPECT_EQ(500 + pieces, value);
	rig_release(&rig);
	munmap(map, size);
	close(buf);
}

TEST_F(exporter, it_gets_its_buffers_back_when_the_driver_is_unbound)
{
	int buf[3];

	KNOWN_C_DEFECT(&self->gpu, "an unbind leaves imports mapped");
	for (size_t i = 0; i < ARRAY_SIZE(buf); i++) {
		uint32_t handle;

		buf[i] = exporter_buffer(PAGES * PAGE);
		ASSERT_LE(0, buf[i]);
		ASSERT_EQ(0, prime_import(&self->gpu, buf[i], &handle));
	}
	EXPECT_EQ(ARRAY_SIZE(buf), exporter_info().mapped);
	ASSERT_EQ(0, device_unbind(&self->gpu));
	EXPECT_EQ(0, exporter_info().mapped);
	ASSERT_EQ(0, device_bind(&self->gpu));
	gpu_close(&self->gpu);
	EXPECT_TRUE(falls_to(0, count_attached));
}

TEST_F(exporter, its_module_cannot_go_while_a_buffer_is_imported)
{
	int buf = exporter_buffer(cpu_page());
	uint32_t handle;

	ASSERT_LE(0, buf);
	ASSERT_EQ(0, prime_import(&self->gpu, buf, &handle));
	close(buf);
	sleep_ms(50);
	EXPECT_EQ(-EWOULDBLOCK, module_unload("exporter"));
	ASSERT_EQ(0, gem_close(&self->gpu, handle));
	EXPECT_TRUE(falls_to(0, count_buffers));
}

/* By rule G8: a table is believed as far as it goes. */
TEST_F(exporter, a_table_that_does_not_cover_the_buffer_is_refused)
{
	static const uint32_t bad[] = { EXPORTER_SHORT, EXPORTER_UNALIGNED, EXPORTER_EMPTY };

	KNOWN_C_DEFECT(&self->gpu, "a dma-buf's table is not checked");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		int buf = exporter_buffer_with(4 * cpu_page(), bad[i]);
		uint32_t handle;

		ASSERT_LE(0, buf);
		EXPECT_EQ(-EINVAL, prime_import(&self->gpu, buf, &handle)) {
			TH_LOG("flags %u", bad[i]);
		}
		EXPECT_EQ(0, exporter_info().mapped);
		EXPECT_EQ(0, exporter_info().attached);
		close(buf);
	}
}

TEST_F(exporter, a_buffer_of_no_whole_pages_is_refused)
{
	static const uint64_t sizes[] = { 1, PAGE - 1, 3 * PAGE + 1 };

	KNOWN_C_DEFECT(&self->gpu, "a dma-buf of no whole pages is a BUG");
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		int buf = exporter_buffer(sizes[i]);
		uint32_t handle;

		ASSERT_LE(0, buf);
		EXPECT_EQ(-EINVAL, prime_import(&self->gpu, buf, &handle));
		EXPECT_EQ(0, exporter_info().attached);
		close(buf);
	}
}

TEST_F(exporter, its_errors_are_those_of_the_import)
{
	int buf = exporter_buffer_with(cpu_page(), EXPORTER_GONE);
	uint32_t handle;

	ASSERT_LE(0, buf);
	EXPECT_EQ(-ENODEV, prime_import(&self->gpu, buf, &handle));
	EXPECT_EQ(0, exporter_info().attached);
	close(buf);
	EXPECT_EQ(-EBADF, prime_import(&self->gpu, buf, &handle));
	EXPECT_EQ(-EINVAL, prime_import(&self->gpu, self->gpu.fd, &handle));
}

TEST_F(exporter, what_it_does_not_map_is_not_mapped_by_way_of_an_import)
{
	int buf = exporter_buffer_with(cpu_page(), EXPORTER_NO_MMAP);
	uint32_t handle;
	uint64_t offset;

	ASSERT_LE(0, buf);
	ASSERT_EQ(0, prime_import(&self->gpu, buf, &handle));
	ASSERT_EQ(0, bo_mmap_offset(&self->gpu, handle, &offset));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->gpu.fd, offset));
	EXPECT_EQ(ENODEV, errno);
	/* Nothing was left behind that keeps the import. */
	ASSERT_EQ(0, gem_close(&self->gpu, handle));
	EXPECT_TRUE(falls_to(0, count_attached));
}

struct importer {
	int buf;
	volatile bool stop;
};

static void *import_for_ever(void *data)
{
	struct importer *importer = data;
	uint32_t handle;

	while (!importer->stop) {
		struct gpu gpu;

		if (gpu_open(&gpu))
			continue;
		for (int i = 0; i < 50 && !prime_import(&gpu, importer->buf, &handle); i++)
			gem_close(&gpu, handle);
		gpu_close(&gpu);
	}
	return NULL;
}

TEST_F(exporter, imports_and_unbinds_may_race)
{
	struct importer importer = { .buf = exporter_buffer(PAGES * PAGE) };
	pthread_t threads[3];

	ASSERT_LE(0, importer.buf);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, import_for_ever, &importer));
	for (int i = 0; i < 8; i++) {
		sleep_ms(20);
		ASSERT_EQ(0, device_unbind(&self->gpu));
		if (!gpu_is_c_driver(&self->gpu))
			EXPECT_EQ(0, exporter_info().mapped);
		ASSERT_EQ(0, device_bind(&self->gpu));
	}
	importer.stop = true;
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	EXPECT_TRUE(falls_to(0, count_attached));
	EXPECT_EQ(0, exporter_info().mapped);
}

FIXTURE(export)
{
	struct gpu gpu;
};

FIXTURE_SETUP(export)
{
	ASSERT_EQ(0, gpu_open(&self->gpu));
}

FIXTURE_TEARDOWN(export)
{
	gpu_close(&self->gpu);
}

TEST_F(export, it_shows_the_memory_of_the_buffer)
{
	struct dma_buf_sync sync = { .flags = DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW };
	static const uint32_t flags[] = { 0, DRM_PANTHOR_BO_WB_MMAP };
	const uint64_t size = 4 * cpu_page();

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		struct bo bo;
		uint32_t *map;
		int fd;

		ASSERT_EQ(0, bo_create(&self->gpu, size, flags[i], 0, &bo));
		ASSERT_EQ(0, bo_mmap(&self->gpu, &bo));
		fd = prime_export(&self->gpu, bo.handle, DRM_RDWR);
		ASSERT_LE(0, fd);
		EXPECT_EQ(size, lseek(fd, 0, SEEK_END));
		map = map_fd(fd, size);
		ASSERT_NE(NULL, map);
		sync.flags = DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW;
		EXPECT_EQ(0, gpu_ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync));
		number(map, 4, 30);
		sync.flags = DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW;
		EXPECT_EQ(0, gpu_ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync));
		EXPECT_EQ(33, bo.u32[3 * (PAGE / 4)]);
		EXPECT_EQ(NULL, map_fd(fd, size + 1));
		munmap(map, size);
		close(fd);
	}
}

TEST_F(export, it_outlives_handle_and_file)
{
	struct bo bo;
	uint32_t *map, handle;
	struct gpu gpu;
	int fd;

	ASSERT_EQ(0, bo_create(&self->gpu, PAGE, 0, 0, &bo));
	fd = prime_export(&self->gpu, bo.handle, DRM_RDWR);
	ASSERT_LE(0, fd);
	map = map_fd(fd, PAGE);
	ASSERT_NE(NULL, map);
	map[0] = 91;
	munmap(map, PAGE);
	ASSERT_EQ(0, gem_close(&self->gpu, bo.handle));
	gpu_close(&self->gpu);

	/* Nothing is left but the file descriptor. */
	map = map_fd(fd, PAGE);
	ASSERT_NE(NULL, map);
	EXPECT_EQ(91, map[0]);
	ASSERT_EQ(0, gpu_open(&gpu));
	ASSERT_EQ(0, prime_import(&gpu, fd, &handle));
	ASSERT_EQ(0, bo_mmap_offset(&gpu, handle, &bo.size));
	close(fd);
	gpu_close(&gpu);
	EXPECT_EQ(91, map[0]);
}

TEST_F(export, it_outlives_the_binding_of_the_driver)
{
	struct bo bo;
	uint32_t *map, handle;
	struct gpu gpu;
	int fd;

	ASSERT_EQ(0, bo_create(&self->gpu, 2 * PAGE, 0, 0, &bo));
	fd = prime_export(&self->gpu, bo.handle, DRM_RDWR);
	ASSERT_LE(0, fd);
	map = map_fd(fd, 2 * PAGE);
	ASSERT_NE(NULL, map);
	number(map, 2, 8);
	ASSERT_EQ(0, device_unbind(&self->gpu));
	EXPECT_EQ(9, map[PAGE / 4]);
	ASSERT_EQ(0, device_bind(&self->gpu));
	EXPECT_EQ(9, map[PAGE / 4]);
	/* For the device that is there now it is a buffer of somebody else, who does no DMA any more. */
	ASSERT_EQ(0, device_reopen(&gpu));
	prime_import(&gpu, fd, &handle);
	gpu_close(&gpu);
	EXPECT_EQ(9, map[PAGE / 4]);
}

TEST_F(export, another_file_of_the_device_gets_the_same_buffer)
{
	struct drm_panthor_bo_query_info info = { 0 };
	struct bo bo;
	struct gpu other;
	uint64_t offset, first;
	int fd;

	ASSERT_EQ(0, gpu_open(&other));
	ASSERT_EQ(0, bo_create(&self->gpu, PAGE, DRM_PANTHOR_BO_WB_MMAP, 0, &bo));
	ASSERT_EQ(0, bo_mmap_offset(&self->gpu, bo.handle, &first));
	fd = prime_export(&self->gpu, bo.handle, DRM_RDWR);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, prime_import(&other, fd, &info.handle));
	ASSERT_EQ(0, bo_mmap_offset(&other, info.handle, &offset));
	EXPECT_EQ(first, offset);
	ASSERT_EQ(0, gpu_ioctl(other.fd, DRM_IOCTL_PANTHOR_BO_QUERY_INFO, &info));
	EXPECT_EQ(0, info.extra_flags);
	EXPECT_EQ(DRM_PANTHOR_BO_WB_MMAP, info.create_flags);
	gpu_close(&other);
}

TEST_F(export, what_user_space_must_not_map_is_not_mapped_by_way_of_it)
{
	struct bo bo;
	struct gpu other;
	uint64_t offset;
	uint32_t handle;
	int fd;

	KNOWN_C_DEFECT(&self->gpu, "NO_MMAP is enforced in BO_MMAP_OFFSET only");
	ASSERT_EQ(0, bo_create(&self->gpu, PAGE, DRM_PANTHOR_BO_NO_MMAP, 0, &bo));
	fd = prime_export(&self->gpu, bo.handle, DRM_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_EQ(NULL, map_fd(fd, PAGE));
	EXPECT_EQ(EPERM, errno);
	ASSERT_EQ(0, gpu_open(&other));
	ASSERT_EQ(0, prime_import(&other, fd, &handle));
	EXPECT_EQ(-EPERM, bo_mmap_offset(&other, handle, &offset));
	gpu_close(&other);
}

TEST_F(export, one_for_reading_cannot_be_written)
{
	struct bo bo;
	int fd;

	ASSERT_EQ(0, bo_create(&self->gpu, PAGE, 0, 0, &bo));
	fd = prime_export(&self->gpu, bo.handle, 0);
	ASSERT_LE(0, fd);
	EXPECT_EQ(NULL, map_fd(fd, PAGE));
	EXPECT_EQ(EACCES, errno);
	EXPECT_NE(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0));
}

TEST_HARNESS_MAIN
