// SPDX-License-Identifier: GPL-2.0 OR MIT
/* DEV_QUERY: what the device says, and how its answers grow. */
#include <stddef.h>
#include <time.h>
#include <unistd.h>

#include "hwmodel.h"
#include "suite.h"

#define END_OF(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))

/* Each type with the size that the kernel knows and the least that it takes. */
static const struct {
	uint32_t type;
	uint32_t size;
	uint32_t least;
} types[] = {
	{ DRM_PANTHOR_DEV_QUERY_GPU_INFO, sizeof(struct drm_panthor_gpu_info),
	  END_OF(struct drm_panthor_gpu_info, tiler_present) },
	{ DRM_PANTHOR_DEV_QUERY_CSIF_INFO, sizeof(struct drm_panthor_csif_info),
	  END_OF(struct drm_panthor_csif_info, pad) },
	{ DRM_PANTHOR_DEV_QUERY_TIMESTAMP_INFO, sizeof(struct drm_panthor_timestamp_info),
	  END_OF(struct drm_panthor_timestamp_info, current_timestamp) },
	{ DRM_PANTHOR_DEV_QUERY_GROUP_PRIORITIES_INFO,
	  sizeof(struct drm_panthor_group_priorities_info),
	  END_OF(struct drm_panthor_group_priorities_info, pad) },
	{ DRM_PANTHOR_DEV_QUERY_MMU_INFO, sizeof(struct drm_panthor_mmu_info),
	  END_OF(struct drm_panthor_mmu_info, page_size_bitmap) },
};

FIXTURE(query)
{
	struct gpu gpu;
};

FIXTURE_SETUP(query)
{
	ASSERT_EQ(0, gpu_open(&self->gpu));
}

FIXTURE_TEARDOWN(query)
{
	gpu_close(&self->gpu);
}

TEST_F(query, the_uapi_version_is_1_9)
{
	EXPECT_EQ(1, self->gpu.major);
	EXPECT_EQ(9, self->gpu.minor);
}

TEST_F(query, the_gpu_is_one_with_command_streams_and_has_cores_a_tiler_and_one_l2)
{
	struct drm_panthor_gpu_info info;

	ASSERT_EQ(0, gpu_info(&self->gpu, &info));
	EXPECT_GE(DRM_PANTHOR_ARCH_MAJOR(info.gpu_id), 10);
	EXPECT_NE(0, info.shader_present);
	EXPECT_NE(0, info.tiler_present);
	EXPECT_EQ(1, info.l2_present);
	/* The first address space is the firmware's; users need at least one more. */
	EXPECT_GE(__builtin_popcount(info.as_present), 2);
	EXPECT_GE(DRM_PANTHOR_MMU_VA_BITS(info.mmu_features), 33);
	EXPECT_EQ(0, info.pad);
}

TEST_F(query, what_user_space_divides_by_is_not_zero)
{
	struct drm_panthor_gpu_info info;

	ASSERT_EQ(0, gpu_info(&self->gpu, &info));
	EXPECT_NE(0, info.max_threads);
	EXPECT_NE(0, info.thread_max_workgroup_size);
	EXPECT_NE(0, info.thread_features >> 24);
	EXPECT_NE(0, info.thread_features & 0x3fffff);
}

/* What the tree says of the modelled SoC; empty, or @length bytes at most. */
static size_t tree_read(const char *property, void *data, size_t length)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/device-tree/soc/%s", property);
	file = fopen(path, "r");
	memset(data, 0, length);
	length = file ? fread(data, 1, length, file) : 0;
	if (file)
		fclose(file);
	return length;
}

TEST_F(query, the_modelled_gpu_is_the_one_of_the_tree)
{
	static const struct {
		const char *name;
		uint32_t gpu_id, l2_features, mmu_features, as_present;
		uint64_t shader_present, gpu_features;
	} gpus[] = {
		{ "", 0xa8670005, 0x07120306, 0x2830, 0xff, 0x50005, 0 },
		{ "g310", 0xac740000, 0x07100206, 0x2828, 0xf, 0x3, 0 },
		{ "g1", 0xe8300000, 0x07140406, 0x2830, 0xffff, 0x07070707, 0x24 },
		{ "g925", 0xd8300000, 0x07140306, 0x2830, 0xffff, 0x07070707, 0x4 },
	};
	struct drm_panthor_gpu_info info;
	uint8_t fuses[4];
	uint64_t cores;
	char name[16];
	size_t i = 0;

	if (!hwmodel_present())
		SKIP(return, "this GPU is not the hardware model");
	tree_read("hwmodel,gpu", name, sizeof(name) - 1);
	while (i < ARRAY_SIZE(gpus) && strcmp(gpus[i].name, name))
		i++;
	ASSERT_GT(ARRAY_SIZE(gpus), i);
	ASSERT_EQ(0, gpu_info(&self->gpu, &info));
	EXPECT_EQ(gpus[i].gpu_id, info.gpu_id);
	EXPECT_EQ(gpus[i].l2_features, info.l2_features);
	EXPECT_EQ(0x809, info.tiler_features);
	EXPECT_EQ(gpus[i].mmu_features, info.mmu_features);
	EXPECT_EQ(gpus[i].as_present, info.as_present);
	EXPECT_EQ(1, info.tiler_present);
	EXPECT_EQ(gpus[i].gpu_features, info.gpu_features);
	/* Fuses know better than the register which cores work. */
	cores = gpus[i].shader_present;
	if (tree_read("fuses/hwmodel,cores", fuses, sizeof(fuses)) == sizeof(fuses))
		cores = fuses[0] << 24 | fuses[1] << 16 | fuses[2] << 8 | fuses[3];
	EXPECT_EQ(cores, info.shader_present);
}

TEST_F(query, the_selected_coherency_is_one_that_the_gpu_has)
{
	struct drm_panthor_gpu_info info;

	ASSERT_EQ(0, gpu_info(&self->gpu, &info));
	if (info.selected_coherency == DRM_PANTHOR_GPU_COHERENCY_NONE)
		return;
	ASSERT_LE(info.selected_coherency, DRM_PANTHOR_GPU_COHERENCY_ACE);
	EXPECT_NE(0, info.coherency_features & 1u << info.selected_coherency);
}

/* By rules G1, G3: what the device tree says of this device, and nothing that is guessed. */
TEST_F(query, the_gpu_is_coherent_if_the_device_tree_says_so)
{
	static const struct {
		const char *property;
		uint32_t coherency;
	} said[] = {
		{ "dma-coherent", DRM_PANTHOR_GPU_COHERENCY_ACE_LITE },
		{ "dma-noncoherent", DRM_PANTHOR_GPU_COHERENCY_NONE },
	};
	struct drm_panthor_gpu_info info;

	ASSERT_EQ(0, gpu_info(&self->gpu, &info));
	for (size_t i = 0; i < ARRAY_SIZE(said); i++) {
		char path[160];

		snprintf(path, sizeof(path), "/sys/bus/platform/devices/%s/of_node/%s",
			 self->gpu.device, said[i].property);
		if (!access(path, F_OK)) {
			EXPECT_EQ(said[i].coherency, info.selected_coherency);
			return;
		}
	}
	SKIP(return, "it says nothing: what that means is the platform's business");
}

TEST_F(query, the_interface_has_slots_registers_and_scoreboards)
{
	struct drm_panthor_csif_info csif;

	ASSERT_EQ(0, gpu_csif(&self->gpu, &csif));
	EXPECT_GE(csif.csg_slot_count, 3);
	EXPECT_LE(csif.csg_slot_count, 31);
	EXPECT_GE(csif.cs_slot_count, 8);
	EXPECT_LE(csif.cs_slot_count, 32);
	EXPECT_GE(csif.cs_reg_count, 96);
	EXPECT_GE(csif.scoreboard_slot_count, 8);
	EXPECT_EQ(4, csif.unpreserved_cs_reg_count);
	EXPECT_EQ(0, csif.pad);
}

TEST_F(query, pages_of_4k_and_blocks_of_2m_can_be_mapped)
{
	struct drm_panthor_mmu_info mmu;

	ASSERT_EQ(0, gpu_query(&self->gpu, DRM_PANTHOR_DEV_QUERY_MMU_INFO, &mmu, sizeof(mmu)));
	EXPECT_EQ(PAGE | BLOCK, mmu.page_size_bitmap);
}

TEST_F(query, root_may_use_all_priorities)
{
	struct drm_panthor_group_priorities_info prio = { 0 };

	if (geteuid())
		SKIP(return, "needs root");
	ASSERT_EQ(0, gpu_query(&self->gpu, DRM_PANTHOR_DEV_QUERY_GROUP_PRIORITIES_INFO, &prio,
			       sizeof(prio)));
	EXPECT_EQ(1 << PANTHOR_GROUP_PRIORITY_LOW | 1 << PANTHOR_GROUP_PRIORITY_MEDIUM |
		  1 << PANTHOR_GROUP_PRIORITY_HIGH | 1 << PANTHOR_GROUP_PRIORITY_REALTIME,
		  prio.allowed_mask);
	EXPECT_EQ(0, prio.pad[0] | prio.pad[1] | prio.pad[2]);
}

TEST_F(query, an_ordinary_user_may_use_low_and_medium_priority_only)
{
	struct drm_panthor_group_priorities_info prio = { 0 };

	if (geteuid())
		SKIP(return, "needs root to become somebody else");
	ASSERT_EQ(0, setresuid(65534, 65534, 65534));
	ASSERT_EQ(0, gpu_query(&self->gpu, DRM_PANTHOR_DEV_QUERY_GROUP_PRIORITIES_INFO, &prio,
			       sizeof(prio)));
	EXPECT_EQ(1 << PANTHOR_GROUP_PRIORITY_LOW | 1 << PANTHOR_GROUP_PRIORITY_MEDIUM,
		  prio.allowed_mask);
}

TEST_F(query, without_a_pointer_every_type_tells_its_size)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		struct drm_panthor_dev_query query = { .type = types[i].type, .size = 12345 };

		ASSERT_EQ(0, gpu_ioctl(self->gpu.fd, DRM_IOCTL_PANTHOR_DEV_QUERY, &query));
		EXPECT_EQ(types[i].size, query.size);
	}
}

TEST_F(query, an_unknown_type_is_einval_with_and_without_a_pointer)
{
	uint8_t buffer[256] = { 0 };
	struct drm_panthor_dev_query query = { .type = DRM_PANTHOR_DEV_QUERY_MMU_INFO + 1 };

	EXPECT_EQ(-EINVAL, gpu_ioctl(self->gpu.fd, DRM_IOCTL_PANTHOR_DEV_QUERY, &query));
	query.type = UINT32_MAX;
	EXPECT_EQ(-EINVAL, gpu_ioctl(self->gpu.fd, DRM_IOCTL_PANTHOR_DEV_QUERY, &query));
	EXPECT_EQ(-EINVAL, gpu_query(&self->gpu, query.type, buffer, sizeof(buffer)));
}

TEST_F(query, a_buffer_below_the_first_published_size_is_einval)
{
	uint8_t buffer[256] = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		EXPECT_EQ(-EINVAL, gpu_query(&self->gpu, types[i].type, buffer, 0));
		EXPECT_EQ(-EINVAL, gpu_query(&self->gpu, types[i].type, buffer,
					     types[i].least - 1));
	}
}

TEST_F(query, a_buffer_of_the_first_published_size_is_filled_and_nothing_behind_it)
{
	uint8_t whole[256], part[256];

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		/* A clock does not stand still between two calls. */
		bool same = types[i].type != DRM_PANTHOR_DEV_QUERY_TIMESTAMP_INFO;

		memset(whole, 0, sizeof(whole));
		memset(part, same ? 0xa5 : 0, sizeof(part));
		ASSERT_EQ(0, gpu_query(&self->gpu, types[i].type, whole, types[i].size));
		memset(part + types[i].least, 0xa5, sizeof(part) - types[i].least);
		ASSERT_EQ(0, gpu_query(&self->gpu, types[i].type, part, types[i].least));
		if (same)
			EXPECT_EQ(0, memcmp(whole, part, types[i].least));
		for (size_t byte = types[i].least; byte < sizeof(part); byte++)
			ASSERT_EQ(0xa5, part[byte]);
	}
}

TEST_F(query, what_the_kernel_does_not_know_is_returned_as_zero_and_not_a_byte_more)
{
	uint8_t buffer[256];

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		uint32_t longer = types[i].size + 40;

		/* The timestamp query reads its buffer, too; unknown bytes have to be zero. */
		bool in = types[i].type == DRM_PANTHOR_DEV_QUERY_TIMESTAMP_INFO;

		memset(buffer, 0xa5, sizeof(buffer));
		if (in)
			memset(buffer, 0, longer);
		ASSERT_EQ(0, gpu_query(&self->gpu, types[i].type, buffer, longer));
		for (uint32_t byte = types[i].size; byte < longer; byte++)
			ASSERT_EQ(0, buffer[byte]);
		for (uint32_t byte = longer; byte < sizeof(buffer); byte++)
			ASSERT_EQ(0xa5, buffer[byte]);
	}
}

TEST_F(query, the_size_is_left_alone_when_something_is_copied)
{
	uint8_t buffer[256] = { 0 };
	struct drm_panthor_dev_query query = {
		.type = DRM_PANTHOR_DEV_QUERY_CSIF_INFO,
		.size = 200,
		.pointer = (uintptr_t)buffer,
	};

	ASSERT_EQ(0, gpu_ioctl(self->gpu.fd, DRM_IOCTL_PANTHOR_DEV_QUERY, &query));
	EXPECT_EQ(200, query.size);
}

TEST_F(query, a_bad_address_is_efault)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		EXPECT_EQ(-EFAULT, gpu_query(&self->gpu, types[i].type, (void *)8, types[i].size));
}

TEST_F(query, input_that_the_kernel_does_not_know_is_e2big)
{
	struct {
		struct drm_panthor_timestamp_info known;
		uint64_t unknown;
	} info = { .unknown = 1 };

	EXPECT_EQ(-E2BIG, gpu_query(&self->gpu, DRM_PANTHOR_DEV_QUERY_TIMESTAMP_INFO, &info,
				    sizeof(info)));
	info.unknown = 0;
	EXPECT_EQ(0, gpu_query(&self->gpu, DRM_PANTHOR_DEV_QUERY_TIMESTAMP_INFO, &info,
			       sizeof(info)));
}

static int timestamps(const struct gpu *gpu, uint32_t flags, struct drm_panthor_timestamp_info *ts)
{
	memset(ts, 0, sizeof(*ts));
	ts->flags = flags;
	return gpu_query(gpu, DRM_PANTHOR_DEV_QUERY_TIMESTAMP_INFO, ts, sizeof(*ts));
}

TEST_F(query, only_what_was_asked_for_is_sampled)
{
	struct drm_panthor_timestamp_info ts;

	ASSERT_EQ(0, timestamps(&self->gpu, DRM_PANTHOR_TIMESTAMP_GPU, &ts));
	EXPECT_NE(0, ts.current_timestamp);
	EXPECT_EQ(0, ts.cpu_timestamp_sec | ts.cpu_timestamp_nsec);
	EXPECT_EQ(0, ts.duration_nsec);
	EXPECT_EQ(0, ts.cycle_count);

	ASSERT_EQ(0, timestamps(&self->gpu, DRM_PANTHOR_TIMESTAMP_CPU_MONOTONIC, &ts));
	EXPECT_EQ(0, ts.current_timestamp);
	EXPECT_NE(0, ts.cpu_timestamp_sec | ts.cpu_timestamp_nsec);
}

TEST_F(query, the_cpu_clock_lies_between_the_samples_of_the_caller)
{
	static const struct {
		uint32_t flag;
		clockid_t clock;
	} clocks[] = {
		{ DRM_PANTHOR_TIMESTAMP_CPU_MONOTONIC, CLOCK_MONOTONIC },
		{ DRM_PANTHOR_TIMESTAMP_CPU_MONOTONIC_RAW, CLOCK_MONOTONIC_RAW },
	};

	for (size_t i = 0; i < ARRAY_SIZE(clocks); i++) {
		struct drm_panthor_timestamp_info ts;
		struct timespec before, after;
		int64_t now;

		clock_gettime(clocks[i].clock, &before);
		ASSERT_EQ(0, timestamps(&self->gpu, clocks[i].flag | DRM_PANTHOR_TIMESTAMP_GPU |
					DRM_PANTHOR_TIMESTAMP_DURATION, &ts));
		clock_gettime(clocks[i].clock, &after);
		now = ts.cpu_timestamp_sec * SECOND + ts.cpu_timestamp_nsec;
		EXPECT_LE(before.tv_sec * SECOND + before.tv_nsec, now);
		EXPECT_GE(after.tv_sec * SECOND + after.tv_nsec, now);
		EXPECT_LT(ts.cpu_timestamp_nsec, SECOND);
	}
}

TEST_F(query, unknown_timestamp_flags_and_clocks_are_einval)
{
	struct drm_panthor_timestamp_info ts;

	EXPECT_EQ(-EINVAL, timestamps(&self->gpu, 0x100, &ts));
	EXPECT_EQ(-EINVAL, timestamps(&self->gpu, 0x80000000u, &ts));
	EXPECT_EQ(-EINVAL, timestamps(&self->gpu, 3 << 1, &ts));
	EXPECT_EQ(-EINVAL, timestamps(&self->gpu, 7 << 1, &ts));
}

FIXTURE(awake)
{
	struct rig rig;
};

/* A GPU that falls asleep starts its counters again: a job keeps it awake. */
FIXTURE_SETUP(awake)
{
	struct cs cs;

	ASSERT_EQ(0, rig_open(&self->rig, 1));
	cs = rig_stream(&self->rig, 0);
	cs_put32(&cs, self->rig.data.va + 4, 1);
	cs_spin_while_zero(&cs, self->rig.data.va);
	ASSERT_EQ(0, rig_submit(&self->rig, 0, &cs));
	ASSERT_EQ(0, rig_wait_word(&self->rig, 1, 1));
}

FIXTURE_TEARDOWN(awake)
{
	self->rig.data.u32[0] = 1;
	EXPECT_EQ(1, rig_wait(&self->rig));
	rig_close(&self->rig);
}

TEST_F(awake, the_gpu_clock_does_not_run_backwards)
{
	struct drm_panthor_timestamp_info first, second;

	ASSERT_EQ(0, timestamps(&self->rig.gpu, 0, &first));
	sleep_ms(2);
	ASSERT_EQ(0, timestamps(&self->rig.gpu, 0, &second));
	EXPECT_NE(0, first.current_timestamp);
	EXPECT_LT(first.current_timestamp, second.current_timestamp);
	EXPECT_EQ(first.timestamp_frequency, second.timestamp_frequency);
}

TEST_F(awake, the_cycle_counter_runs)
{
	struct drm_panthor_timestamp_info first, second;

	ASSERT_EQ(0, timestamps(&self->rig.gpu, DRM_PANTHOR_TIMESTAMP_GPU_CYCLE_COUNT, &first));
	sleep_ms(2);
	ASSERT_EQ(0, timestamps(&self->rig.gpu, DRM_PANTHOR_TIMESTAMP_GPU_CYCLE_COUNT, &second));
	EXPECT_LE(first.cycle_count, second.cycle_count);
}

TEST_HARNESS_MAIN
