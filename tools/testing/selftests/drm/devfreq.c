// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The rate of the core clock: who chooses it, what it follows, and what goes with it. Needs root. Nothing here
 * depends on how long something takes, only on that it happens.
 */
#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "device.h"
#include "power.h"
#include "rates.h"
#include "suite.h"
#include "text.h"

#define SUSPEND_POINT	"/proc/device-tree/opp-table/opp-500000000/opp-suspend"
#define SUSPEND_RATE	500000000ll

#define REQUIRED	"/proc/device-tree/opp-table/opp-300000000/required-opps"
#define SECOND_DOMAIN	"/proc/device-tree/opp-table-pd-gpu1"

/* How often the rate has changed, from the last line of trans_stat. */
static long long transitions(const struct rates *rates)
{
	char path[320], line[512];
	long long count = -1;
	FILE *file;

	rates_attribute(rates, "trans_stat", path, sizeof(path));
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file))
		sscanf(line, "Total transition : %lld", &count);
	if (file)
		fclose(file);
	return count;
}

/* The rates that a GPU has a choice of; false if it has none. */
static bool find_rates(const struct gpu *gpu, struct rates *rates)
{
	char dir[160];

	snprintf(dir, sizeof(dir), "/sys/class/devfreq/%s", gpu->device);
	return rates_find(rates, dir);
}

/* The newest cooling device of the GPU; false if there is none. */
static bool find_cooling(const struct gpu *gpu, char *path, size_t size)
{
	char type[96], expected[96], file[320];
	int newest = -1, number;
	struct dirent *entry;
	DIR *dir = opendir("/sys/class/thermal");

	snprintf(expected, sizeof(expected), "devfreq-%s", gpu->device);
	while (dir && (entry = readdir(dir))) {
		if (sscanf(entry->d_name, "cooling_device%d", &number) != 1)
			continue;
		snprintf(file, sizeof(file), "/sys/class/thermal/%s/type", entry->d_name);
		if (text_read(file, type, sizeof(type)) && !strcmp(type, expected) && number > newest)
			newest = number;
	}
	if (dir)
		closedir(dir);
	snprintf(path, size, "/sys/class/thermal/cooling_device%d", newest);
	return newest >= 0;
}

static int cool(const char *cooling, long state)
{
	char path[192], text[32];

	snprintf(path, sizeof(path), "%s/cur_state", cooling);
	snprintf(text, sizeof(text), "%ld", state);
	return text_write(path, text);
}

FIXTURE(devfreq)
{
	struct rig rig;
	bool present;
	char status[160];
	struct rates rates;
};

FIXTURE_SETUP(devfreq)
{
	self->present = false;
	if (!hwmodel_present())
		SKIP(return, "no modelled hardware");
	ASSERT_EQ(0, rig_open(&self->rig, 2));
	self->present = find_rates(&self->rig.gpu, &self->rates);
	if (!self->present) {
		rig_close(&self->rig);
		SKIP(return, "no choice of rates");
	}
	power_status_path(&self->rig.gpu, self->status, sizeof(self->status));
	if (self->rates.count < 2) {
		rig_close(&self->rig);
		self->present = false;
		SKIP(return, "one rate");
	}
}

FIXTURE_TEARDOWN(devfreq)
{
	struct gpu *gpu = &self->rig.gpu;

	if (!self->present)
		return;
	self->rig.data.u32[0] = 1;
	power_write("refuse none 0");
	rates_put(&self->rates, "min_freq", 0);
	rates_put(&self->rates, "max_freq", self->rates.high);
	power_keep_on(gpu, false);
	rig_close(&self->rig);
	EXPECT_EQ(0, hwmodel_records());
}

/* Both limits: first the one that does not cross the other. */
static int pin(const struct rates *rates, long long rate)
{
	bool up = rate > rates_get(rates, "max_freq");
	int ret = rates_put(rates, up ? "max_freq" : "min_freq", rate);

	return ret ? ret : rates_put(rates, up ? "min_freq" : "max_freq", rate);
}

/* A job that runs until word 0 is set. */
static int spin(struct rig *rig)
{
	struct cs cs = rig_stream(rig, 0);
	int ret;

	rig->data.u32[0] = 0;
	rig->data.u32[1] = 0;
	cs_put32(&cs, rig->data.va + 4, 1);
	cs_spin_while_zero(&cs, rig->data.va);
	ret = rig_submit(rig, 0, &cs);
	return ret ? ret : rig_wait_word(rig, 1, 1);
}

static int stop(struct rig *rig)
{
	rig->data.u32[0] = 1;
	return rig_wait(rig);
}

static int store(struct rig *rig, uint32_t value)
{
	struct cs cs = rig_stream(rig, 1);
	int ret;

	cs_put32(&cs, rig->data.va + 8, value);
	ret = rig_run(rig, 1, &cs);
	return ret == 1 && rig->data.u32[2] != value ? -EIO : ret;
}

/* What the model has last seen. */
static long long model_rate(void)
{
	char log[16384], *line;
	long long rate = -1;

	power_lines("=", log, sizeof(log));
	for (line = strtok(log, "\n"); line; line = strtok(NULL, "\n"))
		sscanf(line, "=clk_gpu %lld", &rate);
	return rate;
}

/* Every rate that there is, and jobs at each; what is said of it is what the clock has. */
TEST_F(devfreq, user_space_chooses_the_rate)
{
	struct gpu *gpu = &self->rig.gpu;

	ASSERT_EQ(0, pin(&self->rates, self->rates.low));
	ASSERT_TRUE(rates_wait(&self->rates, self->rates.low));
	for (size_t i = 1; i < self->rates.count; i++) {
		ASSERT_EQ(0, power_write("reset"));
		ASSERT_EQ(0, pin(&self->rates, self->rates.at[i]));
		EXPECT_TRUE(rates_wait(&self->rates, self->rates.at[i]));
		EXPECT_EQ(self->rates.at[i], model_rate());
		EXPECT_EQ(self->rates.at[i], gpu_fdinfo(gpu, "drm-curfreq-panthor"));
		EXPECT_EQ(self->rates.high, gpu_fdinfo(gpu, "drm-maxfreq-panthor"));
		EXPECT_EQ(1, store(&self->rig, i));
	}
}

/* In microvolts, what the device tree says that a rate takes. */
static long long voltage_for(long long rate)
{
	return rate <= 600000000 ? 675000 : rate <= 700000000 ? 700000 :
	       rate <= 800000000 ? 750000 : rate <= 900000000 ? 800000 : 850000;
}

TEST_F(devfreq, voltage_comes_before_a_higher_rate_and_goes_after_a_lower_one)
{
	long long rate = self->rates.low, voltage = voltage_for(self->rates.low);
	unsigned int changes = 0;
	char log[16384], *line;

	ASSERT_EQ(0, pin(&self->rates, self->rates.low));
	ASSERT_TRUE(rates_wait(&self->rates, self->rates.low));
	ASSERT_EQ(0, power_write("reset"));
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, pin(&self->rates, self->rates.high));
		ASSERT_TRUE(rates_wait(&self->rates, self->rates.high));
		ASSERT_EQ(0, pin(&self->rates, self->rates.low));
		ASSERT_TRUE(rates_wait(&self->rates, self->rates.low));
	}
	power_lines("=", log, sizeof(log));
	for (line = strtok(log, "\n"); line; line = strtok(NULL, "\n")) {
		if (sscanf(line, "=clk_gpu %lld", &rate) + sscanf(line, "=vdd-gpu %lld", &voltage) < 0)
			continue;
		changes++;
		EXPECT_LE(voltage_for(rate), voltage) {
			TH_LOG("%s", line);
		}
	}
	EXPECT_LE(12, changes);
	EXPECT_EQ(self->rates.low, rate);
	EXPECT_EQ(voltage_for(self->rates.low), voltage);
}

/* The level of its power domains that the tree requires for a rate. */
static long long level_for(long long rate)
{
	return rate <= 600000000 ? 1 : rate <= 800000000 ? 2 : 3;
}

/* A kernel without power management asks for none. */
TEST_F(devfreq, levels_of_power_domains_rise_before_the_rate_and_fall_after_it)
{
	struct gpu *gpu = &self->rig.gpu;
	long long rate = self->rates.low, level[2] = { 0 };
	unsigned int changes = 0;
	char log[16384], *line;

	if (access(REQUIRED, F_OK))
		SKIP(return, "no operating point requires one");
	ASSERT_EQ(0, power_keep_on(gpu, true));
	ASSERT_EQ(0, pin(&self->rates, self->rates.high));
	ASSERT_TRUE(rates_wait(&self->rates, self->rates.high));
	ASSERT_EQ(0, power_write("reset"));
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, pin(&self->rates, self->rates.low));
		ASSERT_TRUE(rates_wait(&self->rates, self->rates.low));
		ASSERT_EQ(0, pin(&self->rates, self->rates.high));
		ASSERT_TRUE(rates_wait(&self->rates, self->rates.high));
	}
	rate = self->rates.high;
	level[0] = level[1] = level_for(rate);
	power_lines("=", log, sizeof(log));
	for (line = strtok(log, "\n"); line; line = strtok(NULL, "\n")) {
		if (sscanf(line, "=clk_gpu %lld", &rate) != 1 && sscanf(line, "=pd_gpu1 %lld", &level[1]) != 1 &&
		    sscanf(line, "=pd_gpu %lld", &level[0]) != 1)
			continue;
		changes++;
		EXPECT_LE(level_for(rate), level[0]) {
			TH_LOG("%s", line);
		}
		EXPECT_LE(level_for(rate), level[1]) {
			TH_LOG("%s", line);
		}
	}
	/* The rate, and each domain that the tree has. */
	EXPECT_LE(6 * (access(SECOND_DOMAIN, F_OK) ? 2 : 3), changes);
	EXPECT_EQ(3, level[0]);
	EXPECT_EQ(3, level[1]);
}

/* Without power nothing is asked of a domain, and the level is back before the clocks are. */
TEST_F_TIMEOUT(devfreq, a_suspended_gpu_asks_for_no_level, 120)
{
	char log[4096], *clock, *level;

	if (access(REQUIRED, F_OK))
		SKIP(return, "no operating point requires one");
	ASSERT_EQ(0, pin(&self->rates, self->rates.high));
	ASSERT_EQ(1, store(&self->rig, 1));
	ASSERT_EQ(0, power_write("reset"));
	ASSERT_TRUE(wait_off(self->status));
	/* The bus drops it a moment later. */
	sleep_ms(200);
	power_lines("=", log, sizeof(log));
	EXPECT_NE(NULL, strstr(log, "=pd_gpu 0\n")) {
		TH_LOG("%s", log);
	}
	ASSERT_EQ(0, power_write("reset"));
	ASSERT_EQ(1, store(&self->rig, 2));
	power_lines("+=", log, sizeof(log));
	level = strstr(log, "=pd_gpu 3\n");
	clock = strstr(log, "+clk_gpu\n");
	ASSERT_NE(NULL, level);
	ASSERT_NE(NULL, clock);
	EXPECT_LT(level, clock);
}

TEST_F_TIMEOUT(devfreq, the_rate_goes_up_under_load_and_down_without, 120)
{
	struct gpu *gpu = &self->rig.gpu;
	long long before;

	ASSERT_EQ(0, power_keep_on(gpu, true));
	for (int i = 0; i < 3; i++) {
		ASSERT_TRUE(rates_wait(&self->rates, self->rates.low));
		before = transitions(&self->rates);
		ASSERT_EQ(0, spin(&self->rig));
		EXPECT_TRUE(rates_wait(&self->rates, self->rates.high));
		EXPECT_EQ(1, stop(&self->rig));
		EXPECT_TRUE(rates_wait(&self->rates, self->rates.low));
		EXPECT_LE(before + 2, transitions(&self->rates));
	}
}

/*
 * The group sits in a slot, and the GPU has nothing to do. Then somebody lets it go on.
 *
 * The C driver may fail to notice: when the wait of a group in a slot is over, nothing asks for a tick, which is where it
 * looks for load. It counts on the one for the idle group that has ended the wait, and that can come first: then the rate
 * stays low until the job is out of time.
 */
TEST_F_TIMEOUT(devfreq, a_group_that_waits_for_another_is_no_load_until_it_goes_on, 120)
{
	struct rig *rig = &self->rig;
	struct gpu *gpu = &rig->gpu;
	struct cs waits = rig_stream(rig, 2), sets = rig_stream(rig, 3);
	uint64_t object = rig->data.va + 1024;
	uint32_t other, done;

	KNOWN_C_DEFECT(gpu, "a group that waits for another is not always told when it may go on");
	ASSERT_EQ(0, power_keep_on(gpu, true));
	ASSERT_EQ(0, group_create(gpu, rig->vm, 1, PANTHOR_GROUP_PRIORITY_MEDIUM, &other));
	ASSERT_EQ(0, sync_create(gpu, false, &done));
	rig->data.u32[0] = 0;
	rig->data.u32[256] = 0;
	cs_move48(&waits, 70, object);
	cs_move32(&waits, 72, 0);
	cs_sync_wait32(&waits, CS_GREATER, 70, 72);
	cs_spin_while_zero(&waits, rig->data.va);
	ASSERT_EQ(0, rig_submit(rig, 0, &waits));
	EXPECT_TRUE(rates_wait(&self->rates, self->rates.low));
	sleep_ms(300);
	EXPECT_EQ(self->rates.low, rates_get(&self->rates, "cur_freq"));
	EXPECT_EQ(-ETIME, sync_wait(gpu, rig->sync, 0, 0));

	cs_move48(&sets, 70, object);
	cs_move32(&sets, 72, 1);
	cs_sync_set32(&sets, CS_SYSTEM, 70, 72, 0);
	ASSERT_EQ(0, group_run(gpu, other, 0, rig_stream_va(rig, &sets), cs_bytes(&sets), done));
	ASSERT_EQ(0, sync_wait(gpu, done, 0, PATIENCE));
	EXPECT_TRUE(rates_wait(&self->rates, self->rates.high));
	EXPECT_EQ(1, stop(rig));
	EXPECT_TRUE(rates_wait(&self->rates, self->rates.low));
}

/* What the driver says of its load, in ns. */
static int read_load(const struct gpu *gpu, long long *busy, long long *on)
{
	char path[128], line[128];
	int found = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/kernel/debug/dri/%s/sched", gpu->device);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file))
		found += sscanf(line, "busy_ns %lld", busy) == 1 || sscanf(line, "on_ns %lld", on) == 1;
	if (file)
		fclose(file);
	return found == 2 ? 0 : -EPROTO;
}

/* Exact, whatever the machine does meanwhile: neither busy nor idle while off, all of it while a job runs. */
TEST_F_TIMEOUT(devfreq, time_without_power_counts_for_nothing, 120)
{
	struct gpu *gpu = &self->rig.gpu;
	long long busy[2], on[2];

	if (read_load(gpu, &busy[0], &on[0]))
		SKIP(return, "this driver does not say what its load is");
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(1, store(&self->rig, i));
		ASSERT_TRUE(wait_off(self->status));
		ASSERT_EQ(0, read_load(gpu, &busy[0], &on[0]));
		EXPECT_LE(busy[0], on[0]);
		sleep_ms(100);
		ASSERT_EQ(0, read_load(gpu, &busy[1], &on[1]));
		EXPECT_EQ(busy[0], busy[1]);
		EXPECT_EQ(on[0], on[1]);

		ASSERT_EQ(0, spin(&self->rig));
		ASSERT_EQ(0, read_load(gpu, &busy[0], &on[0]));
		EXPECT_LT(on[1], on[0]);
		sleep_ms(100);
		ASSERT_EQ(0, read_load(gpu, &busy[1], &on[1]));
		EXPECT_LT(busy[0], busy[1]);
		EXPECT_EQ(on[1] - on[0], busy[1] - busy[0]);

		ASSERT_EQ(0, power_keep_on(gpu, true));
		EXPECT_EQ(1, stop(&self->rig));
		ASSERT_EQ(0, read_load(gpu, &busy[0], &on[0]));
		sleep_ms(100);
		ASSERT_EQ(0, read_load(gpu, &busy[1], &on[1]));
		EXPECT_EQ(busy[0], busy[1]);
		EXPECT_LT(on[0], on[1]);
		ASSERT_EQ(0, power_keep_on(gpu, false));
	}
}

/* The rate is the clock's, with power or without; what was asked for is there when the power is. */
TEST_F_TIMEOUT(devfreq, limits_change_without_power, 120)
{
	struct gpu *gpu = &self->rig.gpu;
	struct hwmodel_counters before, after;

	EXPECT_EQ(1, store(&self->rig, 1));
	ASSERT_TRUE(wait_off(self->status));
	ASSERT_EQ(0, hwmodel_read(&before));
	ASSERT_EQ(0, pin(&self->rates, self->rates.high));
	EXPECT_EQ(self->rates.high, rates_get(&self->rates, "cur_freq"));
	ASSERT_EQ(0, hwmodel_read(&after));
	EXPECT_EQ(hwmodel_get(&before, "mmio_read"), hwmodel_get(&after, "mmio_read"));
	EXPECT_EQ(hwmodel_get(&before, "mmio_write"), hwmodel_get(&after, "mmio_write"));
	EXPECT_TRUE(is_off(self->status));
	EXPECT_EQ(1, store(&self->rig, 2));
	EXPECT_EQ(self->rates.high, rates_get(&self->rates, "cur_freq"));
	EXPECT_EQ(self->rates.high, gpu_fdinfo(gpu, "drm-curfreq-panthor"));
}

/* A device that was idle, then off, has no load: wider limits alone do not make it faster. */
TEST_F_TIMEOUT(devfreq, limits_that_change_without_power_are_no_load, 120)
{
	struct gpu *gpu = &self->rig.gpu;
	long long before;

	ASSERT_EQ(0, power_keep_on(gpu, true));
	EXPECT_EQ(1, store(&self->rig, 1));
	ASSERT_TRUE(rates_wait(&self->rates, self->rates.low));
	/* A full period without work. */
	sleep_ms(300);
	ASSERT_EQ(0, power_keep_on(gpu, false));
	ASSERT_TRUE(wait_off(self->status));
	before = rates_get(&self->rates, "cur_freq");
	for (int i = 0; i < 5; i++) {
		ASSERT_EQ(0, rates_put(&self->rates, "max_freq", self->rates.at[self->rates.count - 1 - i % 2]));
		EXPECT_GE(before, rates_get(&self->rates, "cur_freq"));
	}
}

TEST_F_TIMEOUT(devfreq, a_cooling_device_caps_the_rate, 120)
{
	struct gpu *gpu = &self->rig.gpu;
	char cooling[160], path[192], text[32];
	size_t last = self->rates.count - 1;

	if (access("/sys/class/thermal", F_OK))
		SKIP(return, "a kernel without cooling devices");
	ASSERT_TRUE(find_cooling(gpu, cooling, sizeof(cooling)));
	snprintf(path, sizeof(path), "%s/max_state", cooling);
	ASSERT_TRUE(text_read(path, text, sizeof(text)));
	EXPECT_EQ(last, atol(text));
	ASSERT_EQ(0, spin(&self->rig));
	EXPECT_TRUE(rates_wait(&self->rates, self->rates.high));
	for (size_t state = 1; state <= last; state++) {
		EXPECT_EQ(0, cool(cooling, state));
		EXPECT_TRUE(rates_wait(&self->rates, self->rates.at[last - state]));
	}
	EXPECT_EQ(0, cool(cooling, 0));
	EXPECT_TRUE(rates_wait(&self->rates, self->rates.high));
	EXPECT_EQ(1, stop(&self->rig));
}

/* A voltage that does not come costs the change, and nothing else. */
TEST_F_TIMEOUT(devfreq, a_supply_that_refuses_leaves_the_rate_as_it_is, 120)
{
	struct gpu *gpu = &self->rig.gpu;

	ASSERT_EQ(0, pin(&self->rates, self->rates.low));
	ASSERT_TRUE(rates_wait(&self->rates, self->rates.low));
	ASSERT_TRUE(wait_off(self->status));
	ASSERT_EQ(0, power_write("refuse =vdd-gpu 1000000"));
	pin(&self->rates, self->rates.high);
	EXPECT_EQ(self->rates.low, rates_get(&self->rates, "cur_freq"));
	EXPECT_EQ(1, store(&self->rig, 1));
	EXPECT_EQ(self->rates.low, gpu_fdinfo(gpu, "drm-curfreq-panthor"));
	ASSERT_EQ(0, power_write("refuse none 0"));
	ASSERT_EQ(0, pin(&self->rates, self->rates.high));
	EXPECT_TRUE(rates_wait(&self->rates, self->rates.high));
	EXPECT_EQ(1, store(&self->rig, 2));
}

TEST_F_TIMEOUT(devfreq, in_suspend_it_has_the_point_for_that, 120)
{
	if (access(SUSPEND_POINT, F_OK))
		SKIP(return, "the device tree has none");
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, spin(&self->rig));
		EXPECT_TRUE(rates_wait(&self->rates, self->rates.high));
		EXPECT_EQ(1, stop(&self->rig));
		ASSERT_TRUE(wait_off(self->status));
		EXPECT_EQ(SUSPEND_RATE, rates_get(&self->rates, "cur_freq"));
	}
}

struct changer {
	const struct rates *rates;
	const char *cooling;
	long long low, high;
	atomic_bool stop;
};

static void *change_all_the_time(void *data)
{
	struct changer *changer = data;

	for (unsigned int i = 0; !atomic_load(&changer->stop); i++) {
		rates_put(changer->rates, "min_freq", i % 2 ? changer->high : 0);
		if (*changer->cooling)
			cool(changer->cooling, i % 3);
	}
	return NULL;
}

TEST_F_TIMEOUT(devfreq, unbind_in_the_middle_of_it, 180)
{
	struct rig *rig = &self->rig;
	char cooling[160];

	KNOWN_C_DEFECT(&rig->gpu, "its cooling device outlives its binding");
	for (int i = 0; i < 5; i++) {
		struct gpu gpu = rig->gpu;
		struct changer changer = {
			.rates = &self->rates, .cooling = cooling, .low = self->rates.low, .high = self->rates.high,
		};
		char path[320];
		pthread_t thread;

		if (!find_cooling(&gpu, cooling, sizeof(cooling)))
			cooling[0] = '\0';
		ASSERT_EQ(0, pthread_create(&thread, NULL, change_all_the_time, &changer));
		ASSERT_EQ(0, spin(rig));
		EXPECT_EQ(0, device_unbind(&gpu));
		atomic_store(&changer.stop, true);
		pthread_join(thread, NULL);
		rates_attribute(&self->rates, "cur_freq", path, sizeof(path));
		EXPECT_NE(0, access(path, F_OK));
		EXPECT_FALSE(find_cooling(&gpu, cooling, sizeof(cooling)));
		rig_abandon(rig);
		ASSERT_EQ(0, device_bind(&gpu));
		ASSERT_EQ(0, device_reopen(&gpu));
		gpu_close(&gpu);
		ASSERT_EQ(0, rig_open(rig, 2));
		EXPECT_EQ(1, store(rig, 100 + i));
	}
}

/* By rules D2 and D6: devfreq is the user's choice, and a device without one works. */
TEST(without_a_choice_everything_works)
{
	struct rates rates;
	struct rig rig;

	ASSERT_EQ(0, rig_open(&rig, 2));
	if (find_rates(&rig.gpu, &rates) && rates.count > 1) {
		rig_close(&rig);
		SKIP(return, "there is a choice");
	}
	for (uint32_t i = 0; i < 5; i++) {
		EXPECT_EQ(1, store(&rig, 1 + i));
		sleep_ms(100);
	}
	EXPECT_LT(0, gpu_fdinfo(&rig.gpu, "drm-curfreq-panthor"));
	EXPECT_EQ(gpu_fdinfo(&rig.gpu, "drm-curfreq-panthor"), gpu_fdinfo(&rig.gpu, "drm-maxfreq-panthor"));
	rig_close(&rig);
	EXPECT_EQ(0, hwmodel_records());
}

TEST_HARNESS_MAIN
