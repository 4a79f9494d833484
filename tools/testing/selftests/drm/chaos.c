// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Everything at once: processes with jobs good and bad, with mappings that come and go, and with files
 * that they close too early, while the device is reset, unbound and bound, switched off and on, slow,
 * and short of memory. What has to come out: each fence signals, each good job's result is right unless
 * its device has gone, a device that has gone says so to every call, and nothing is left of it all.
 *
 * CHAOS_SEED chooses what happens, CHAOS_ROUNDS or CHAOS_SECONDS how long it goes on. What each process does is the same
 * with the same seed; how they meet is not. Needs root, and the modelled hardware.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "device.h"
#include "disturb.h"
#include "hwmodel.h"
#include "power.h"
#include "setting.h"
#include "suite.h"
#include "syncfile.h"

#define WORKERS		8
#define GROUPS		2		/* of each worker: together they are twice as many as there are slots */
#define LIMIT		3000		/* seconds, for a slow kernel on a busy machine */
#define FENCE_LIMIT	120000		/* milliseconds until a fence counts as one that never signals */
#define SOURCE_BYTES	(2 * BLOCK)
#define ALIAS_VA	0x40000000ull	/* where the source is mapped, somewhere from here on */
#define NOWHERE		0x7f000000ull	/* where nothing is */
#define STEP		711		/* what the second job adds to what the first has copied */

struct client {
	struct rig rig;			/* its queue 0 copies, its queue 1 adds */
	struct bo source;
	uint32_t group[GROUPS];		/* one of them is the rig's */
	uint32_t copied, added;		/* syncobjs of the two jobs */
	int fence;			/* of the second job, or -1 */
	bool open;
};

#define TRY(world, what, ret) do {					\
	enum end end_ = said(world, what, ret);				\
	if (end_ != WELL)						\
		return end_;						\
} while (0)

/* A device that has gone says so to everybody who asks for anything. */
static void expect_gone(struct world *world, struct client *client)
{
	struct gpu *gpu = &client->rig.gpu;
	struct drm_panthor_gpu_info info;
	uint32_t id, state, fatal;
	struct bo bo;
	int ret[] = {
		gpu_info(gpu, &info),
		vm_create(gpu, 0, &id),
		vm_state(gpu, client->rig.vm, &state),
		vm_unmap(gpu, client->rig.vm, ALIAS_VA, PAGE),
		bo_create(gpu, PAGE, 0, 0, &bo),
		group_create(gpu, client->rig.vm, 1, 0, &id),
		group_submit(gpu, client->group[0], NULL, 0),
		group_state(gpu, client->group[0], &state, &fatal),
	};

	for (size_t i = 0; i < ARRAY_SIZE(ret); i++) {
		if (ret[i] != -ENODEV && atomic_fetch_add(&world->alive, 1) < 5)
			printf("# call %zu of a device that has gone: %d\n", i, ret[i]);
	}
	atomic_fetch_add(&world->gone, 1);
}

static enum end set_up(struct world *world, struct client *client, uint32_t *state)
{
	struct rig *rig = &client->rig;
	struct gpu gpu;
	uint8_t priority = number(state) % 3;
	int ret;

	memset(client, 0, sizeof(*client));
	client->fence = -1;
	if (gpu_open(&gpu)) {
		sleep_ms(10);
		return GONE;
	}
	rig->gpu = gpu;
	client->open = true;
	ret = rig_open_on(rig, &gpu, 2, priority);
	rig->gpu = gpu;
	TRY(world, "set-up", ret);
	TRY(world, "buffer", bo_create(&gpu, SOURCE_BYTES, 0, 0, &client->source));
	TRY(world, "map", bo_mmap(&gpu, &client->source));
	client->group[0] = rig->group;
	for (uint32_t i = 1; i < GROUPS; i++)
		TRY(world, "group", group_create(&gpu, rig->vm, 2, priority, &client->group[i]));
	TRY(world, "syncobj", sync_create(&gpu, false, &client->copied));
	TRY(world, "syncobj", sync_create(&gpu, false, &client->added));
	return WELL;
}

/* Closes the file with all that is in it; a mapping would keep it open. */
static void take_down(struct client *client)
{
	if (client->source.map)
		munmap(client->source.map, client->source.size);
	if (client->rig.data.map)
		munmap(client->rig.data.map, client->rig.data.size);
	if (client->rig.code.map)
		munmap(client->rig.code.map, client->rig.code.size);
	if (client->open)
		gpu_close(&client->rig.gpu);
	client->open = false;
}

/* Maps the source for the next job, at once or in the queue of the VM. */
static enum end bind(struct world *world, struct client *client, uint64_t va, uint64_t offset,
		     bool queued, uint32_t sync)
{
	struct drm_panthor_sync_op signal = sync_signal_op(sync, 0);
	struct drm_panthor_vm_bind_op op = {
		.flags = DRM_PANTHOR_VM_BIND_OP_TYPE_MAP | DRM_PANTHOR_VM_BIND_OP_MAP_READONLY |
			 DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC,
		.bo_handle = client->source.handle,
		.bo_offset = offset,
		.va = va,
		.size = SOURCE_BYTES - offset,
		.syncs = DRM_PANTHOR_OBJ_ARRAY(1, &signal),
	};

	if (queued) {
		TRY(world, "queued bind", vm_bind_async(&client->rig.gpu, client->rig.vm, &op, 1));
	} else {
		TRY(world, "bind", vm_map(&client->rig.gpu, client->rig.vm, op.bo_handle, offset, va,
					  op.size, DRM_PANTHOR_VM_BIND_OP_MAP_READONLY |
					  DRM_PANTHOR_VM_BIND_OP_MAP_NOEXEC));
		TRY(world, "signal", sync_signal(&client->rig.gpu, sync));
	}
	return WELL;
}

/* Stores at @to what is at @from and @more. */
static void cs_copy(struct cs *cs, uint64_t from, uint64_t to, int32_t more)
{
	cs_move48(cs, 10, from);
	cs_load(cs, 12, 1, 10, 0);
	cs_wait(cs, CS_SB_LS);
	cs_add32(cs, 12, 12, more);
	cs_move48(cs, 10, to);
	cs_store32(cs, 12, 10, 0);
}

static enum end submit(struct world *world, struct client *client, uint32_t group, uint32_t queue,
		       const struct cs *cs, uint32_t wait, uint32_t signal)
{
	struct drm_panthor_sync_op ops[2] = { sync_wait_op(wait, 0), sync_signal_op(signal, 0) };
	struct drm_panthor_queue_submit job = {
		.queue_index = queue,
		.stream_size = cs_bytes(cs),
		.stream_addr = rig_stream_va(&client->rig, cs),
		.syncs = DRM_PANTHOR_OBJ_ARRAY(2, ops),
	};
	int ret = group_submit(&client->rig.gpu, group, &job, 1);
	uint32_t state = 0, fatal;

	/* Whether a group has ended without its fault is judged by its jobs. The device may have gone after it. */
	if (ret == -EINVAL) {
		TRY(world, "state of a group that takes no job",
		    group_state(&client->rig.gpu, group, &state, &fatal));
		if (state)
			return LOST;
	}
	TRY(world, "submit", ret);
	return WELL;
}

/* A job that must not go well, on a VM of its own, so that nobody else is hurt. */
static enum end misbehave(struct world *world, struct client *client, uint32_t *state)
{
	uint32_t how = number(state) % 2;
	struct rig bad;
	struct cs cs;
	int ret;

	ret = rig_open_on(&bad, &client->rig.gpu, 1, PANTHOR_GROUP_PRIORITY_LOW);
	if (ret == -ENODEV)
		return GONE;
	TRY(world, "set-up of a bad group", ret);
	cs = rig_stream(&bad, 0);
	if (how)
		cs_invalid(&cs);
	else
		cs_copy(&cs, NOWHERE, bad.data.va, 0);
	ret = rig_submit(&bad, 0, &cs);
	if (!ret) {
		ret = syncfile_export(&bad.gpu, bad.sync);
		if (ret >= 0) {
			int fence = ret;

			if (!syncfile_ready(fence, FENCE_LIMIT))
				atomic_fetch_add(&world->silent, 1);
			else if (syncfile_status(fence) > 0)
				atomic_fetch_add(&world->odd, 1);
			else
				atomic_fetch_add(&world->bad, 1);
			close(fence);
		}
	}
	if (ret == -ENODEV) {
		/* The mappings are all that is left of it. */
		munmap(bad.data.map, bad.data.size);
		munmap(bad.code.map, bad.code.size);
		return GONE;
	}
	rig_release(&bad);
	TRY(world, "bad job", ret);
	return WELL;
}

/* One pair of jobs through a mapping of its own. With @leave, nobody waits for them. */
static enum end work_once(struct world *world, struct client *client, bool leave, uint32_t *state)
{
	struct rig *rig = &client->rig;
	uint32_t first = number(state) % GROUPS, second = number(state) % GROUPS;
	uint64_t offset = number(state) % 4 * 16 * PAGE;
	uint64_t va = ALIAS_VA + number(state) % 8 * (number(state) % 2 ? BLOCK : PAGE);
	uint64_t page = number(state) % ((SOURCE_BYTES - offset) / PAGE);
	uint32_t word = 4 * (number(state) % 256), value = number(state);
	struct cs copy = rig_stream(rig, 0), add = rig_stream(rig, 1);
	bool queued = number(state) % 2;
	int fence, copied;
	enum end end;

	client->source.u32[(offset + page * PAGE) / 4] = value;
	rig->data.u32[word] = rig->data.u32[word + 1] = 0;
	cs_copy(&copy, va + page * PAGE, rig->data.va + 4 * word, 0);
	cs_copy(&add, rig->data.va + 4 * word, rig->data.va + 4 * word + 4, STEP);
	end = bind(world, client, va, offset, queued, rig->sync);
	if (end == WELL)
		end = submit(world, client, client->group[first], 0, &copy, rig->sync, client->copied);
	if (end == WELL)
		end = submit(world, client, client->group[second], 1, &add, client->copied,
			     client->added);
	if (end != WELL)
		return end;
	client->fence = syncfile_export(&rig->gpu, client->added);
	TRY(world, "export", client->fence);
	if (leave)
		return WELL;
	if (!syncfile_ready(client->fence, FENCE_LIMIT)) {
		atomic_fetch_add(&world->silent, 1);
		return FAILED;
	}
	fence = syncfile_export(&rig->gpu, client->copied);
	TRY(world, "export", fence);
	copied = syncfile_status(fence);
	close(fence);
	/* The second job runs, even if the first has failed. */
	if (syncfile_status(client->fence) < 0 || copied < 0) {
		uint32_t now, fatal;

		TRY(world, "state", group_state(&rig->gpu, client->group[second], &now, &fatal));
		return LOST;
	}
	if (rig->data.u32[word] != value || rig->data.u32[word + 1] != value + STEP) {
		atomic_fetch_add(&world->wrong, 1);
		printf("# %#x and %#x instead of %#x\n", rig->data.u32[word],
		       rig->data.u32[word + 1], value);
	} else {
		atomic_fetch_add(&world->right, 1);
	}
	end = said(world, "unmap", vm_unmap(&rig->gpu, rig->vm, va, SOURCE_BYTES - offset));
	/* This job went well all the same. */
	return end == GONE ? WELL : end;
}

static enum end work_for_a_while(struct world *world, struct client *client, struct quota *quota,
				 uint32_t *state)
{
	uint32_t some = 1 + number(state) % 8;
	bool leave = number(state) % 6 == 0;
	enum end end = set_up(world, client, state);

	while (end == WELL && some-- && quota_left(quota)) {
		/* A file that is closed with jobs under way. */
		bool left = leave && !some;

		if (client->fence >= 0)
			close(client->fence);
		client->fence = -1;
		end = work_once(world, client, left, state);
		/* A job that its group takes no more is lost, whoever waits for it. */
		if (end == LOST || (end == WELL && !left)) {
			quota->rounds--;
			atomic_fetch_add(&world->rounds, 1);
		}
		if (left)
			return end;
		if (end == WELL && number(state) % 6 == 0)
			end = misbehave(world, client, state);
		/* Who does nothing for a while is switched off. */
		if (number(state) % 4 == 0)
			sleep_ms(number(state) % 60);
	}
	return end;
}

/* The same with an end of its own for a page that is no longer there. */
static enum end work_or_fall(struct world *world, struct client *client, struct quota *quota,
			     uint32_t *state)
{
	if (sigsetjmp(bus_error, 1))
		return GONE;
	return work_for_a_while(world, client, quota, state);
}

static void work(struct world *world, uint32_t seed, struct quota quota)
{
	uint32_t state = seed;
	struct client client;

	while (quota_left(&quota) && !atomic_load(&world->failed) && !atomic_load(&world->silent)) {
		enum end end = work_or_fall(world, &client, &quota, &state);

		if (end == LOST)
			atomic_fetch_add(&world->lost, 1);
		if (end == GONE && client.open) {
			uint32_t id;
			int ret = vm_create(&client.rig.gpu, 0, &id);

			/* A reset that has failed gives up the device for a while; only crashes do that. */
			if (ret == -ENODEV || !world->crashes)
				expect_gone(world, &client);
			/* The next one takes a moment to come. */
			sleep_ms(10);
		}
		take_down(&client);
		/* What was under way has ended, or ends now. */
		if (client.fence >= 0) {
			if (!syncfile_ready(client.fence, FENCE_LIMIT))
				atomic_fetch_add(&world->silent, 1);
			close(client.fence);
		}
	}
}

FIXTURE(chaos)
{
	struct world *world;
	struct gpu gpu;
	bool present;
};

FIXTURE_VARIANT(chaos)
{
	bool crashes;
};

/* No good job may fail but for a device that has gone. */
FIXTURE_VARIANT_ADD(chaos, firmware_that_works) { };

/* Who is in a slot when the firmware dies ends, and is told that it was not to blame. */
FIXTURE_VARIANT_ADD(chaos, firmware_that_dies)
{
	.crashes = true,
};

FIXTURE_SETUP(chaos)
{
	self->present = false;
	if (!hwmodel_present() || geteuid())
		SKIP(return, "needs root and modelled hardware");
	ASSERT_EQ(0, device_reopen(&self->gpu));
	KNOWN_C_DEFECT(&self->gpu, "jobs and groups that come during an unbind make it warn");
	self->world = mmap(NULL, sizeof(*self->world), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->world);
	self->world->crashes = variant->crashes;
	catch_bus_errors();
	self->present = true;
}

FIXTURE_TEARDOWN(chaos)
{
	if (self->present) {
		hwmodel_inject("clear");
		/* In case that it is not. */
		device_bind(&self->gpu);
	}
}

/* How many buffers there are, or -1. */
static long buffers(const struct gpu *gpu)
{
	char path[64], line[128];
	long count = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/kernel/debug/dri/%s/gems",
		 gpu->node + strcspn(gpu->node, "0123456789"));
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file)) {
		if (strstr(line, " buffers, "))
			count = strtol(line, NULL, 10);
	}
	if (file)
		fclose(file);
	return count;
}

/* What is left when the storm is over: a device that works, and nothing that holds on to anything. */
static void expect_calm(struct __test_metadata *_metadata, const struct world *world, long before)
{
	/* Nobody may have noticed yet that the firmware has died: then the first job finds out. */
	uint32_t attempts = world->crashes ? 2 : 1;
	int64_t end = now_ns() + PATIENCE;
	struct gpu gpu;
	struct rig rig;
	struct cs cs;
	int ret;

	ASSERT_EQ(0, device_reopen(&gpu));
	/* What is behind the files that were closed goes when the last job has. */
	while (buffers(&gpu) != before && now_ns() < end)
		sleep_ms(10);
	EXPECT_EQ(before, buffers(&gpu));
	do {
		ASSERT_EQ(0, rig_open_on(&rig, &gpu, 1, PANTHOR_GROUP_PRIORITY_MEDIUM));
		cs = rig_stream(&rig, 0);
		cs_put32(&cs, rig.data.va, 4321);
		ret = rig_run(&rig, 0, &cs);
		if (ret != 1 && attempts > 1)
			rig_release(&rig);
	} while (ret != 1 && --attempts);
	EXPECT_EQ(1, ret);
	EXPECT_EQ(4321, rig.data.u32[0]);
	rig_close(&rig);
	EXPECT_EQ(0, hwmodel_records());
	if (!module_path())
		return;
	while ((ret = module_unload(gpu.module)) == -EWOULDBLOCK && now_ns() < end)
		sleep_ms(10);
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, module_load(module_path()));
	ASSERT_EQ(0, device_reopen(&gpu));
	gpu_close(&gpu);
}

TEST_F_TIMEOUT(chaos, every_fence_signals_and_every_innocent_result_is_right, LIMIT)
{
	uint32_t seed = setting("CHAOS_SEED", 1);
	struct quota quota = quota_setting();
	struct drm_panthor_csif_info csif;
	struct world *world = self->world;
	pid_t workers[WORKERS], disturbers[ARRAY_SIZE(disturbances)];
	uint32_t state = seed;
	long before;
	int status;

	ASSERT_EQ(0, gpu_csif(&self->gpu, &csif));
	before = buffers(&self->gpu);
	ASSERT_LT(0, before);
	gpu_close(&self->gpu);
	fflush(stdout);
	for (uint32_t i = 0; i < WORKERS; i++) {
		uint32_t own = number(&state);

		workers[i] = fork();
		ASSERT_LE(0, workers[i]);
		if (!workers[i]) {
			work(world, own, quota);
			fflush(stdout);
			_exit(0);
		}
	}
	for (uint32_t i = 0; i < ARRAY_SIZE(disturbances); i++) {
		uint32_t own = number(&state);

		disturbers[i] = fork();
		ASSERT_LE(0, disturbers[i]);
		if (!disturbers[i]) {
			while (!atomic_load(&world->stop))
				disturbances[i](world, &self->gpu, &own);
			fflush(stdout);
			_exit(0);
		}
	}
	for (uint32_t i = 0; i < WORKERS; i++) {
		EXPECT_EQ(workers[i], waitpid(workers[i], &status, 0));
		EXPECT_EQ(0, status);
	}
	atomic_store(&world->stop, true);
	for (uint32_t i = 0; i < ARRAY_SIZE(disturbances); i++) {
		EXPECT_EQ(disturbers[i], waitpid(disturbers[i], &status, 0));
		EXPECT_EQ(0, status);
	}
	ASSERT_EQ(0, hwmodel_inject("clear"));
	power_keep_on(&self->gpu, false);
	TH_LOG("seed %u, %u rounds: %u right, %u lost, %u bad, %u files of a device that has gone; %u resets, %u unbinds, %u crashes",
	       seed, world->rounds, world->right, world->lost, world->bad, world->gone, world->resets,
	       world->unbinds, world->crashed);
	EXPECT_EQ(0, atomic_load(&world->wrong));
	EXPECT_EQ(0, atomic_load(&world->silent));
	EXPECT_EQ(0, atomic_load(&world->odd));
	EXPECT_EQ(0, atomic_load(&world->failed));
	EXPECT_EQ(0, atomic_load(&world->alive));
	EXPECT_EQ(atomic_load(&world->rounds), world->right + world->lost);
	if (!quota.end)
		EXPECT_EQ(WORKERS * quota.rounds, atomic_load(&world->rounds));
	/* A crash costs who is in a slot at most; one during a boot may cost the device. */
	EXPECT_GE(world->crashed * WORKERS * GROUPS, atomic_load(&world->lost));
	expect_calm(_metadata, world, before);
}

TEST_HARNESS_MAIN
