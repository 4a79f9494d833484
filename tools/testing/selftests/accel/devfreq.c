// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The rate of the clock that the cores share: what it follows, and what it does not. The C driver leaves the clock
 * as it is, so there is nothing to test of it.
 */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cores.h"
#include "powerlog.h"
#include "rates.h"
#include "suite.h"
#include "text.h"

/* A busy machine takes its time. */
#define LIMIT		(60 * SECOND)

#define CORES		3

/* Where the rate of the cores is chosen: how many such places there are. */
static size_t find_choice(struct rates *choice)
{
	size_t count;
	glob_t found;

	memset(choice, 0, sizeof(*choice));
	if (glob("/sys/class/devfreq/*.npu", 0, NULL, &found))
		return 0;
	count = found.gl_pathc;
	rates_find(choice, found.gl_pathv[0]);
	globfree(&found);
	return count;
}

/* "on" keeps a core on, "auto" does not. */
static int keep(uint32_t core, const char *control)
{
	char path[512];
	int ret = core_attribute(core, "power/control", path, sizeof(path));

	return ret ?: text_write(path, control);
}

/* The core whose operating points are used, or CORES if there is none. */
static uint32_t choice_owner(void)
{
	for (uint32_t i = 0; i < CORES; i++) {
		char path[512];

		if (!core_attribute(i, "devfreq", path, sizeof(path)) && access(path, F_OK) == 0)
			return i;
	}
	return CORES;
}

FIXTURE(devfreq) {
	struct npu npu;
	struct lists lists;
	struct layer layer;
	struct loaded loaded;
	struct rates choice;
	bool ready;
};

FIXTURE_SETUP(devfreq)
{
	NEEDS_MODEL();
	KNOWN_C_DEFECT("the rate of its clock stays as the boot loader has left it");
	ASSERT_EQ(0, npu_open(&self->npu));
	if (!find_choice(&self->choice)) {
		npu_close(&self->npu);
		SKIP(return, "no choice of rates");
	}
	self->ready = true;
	ASSERT_LE(2, self->choice.count);
	ASSERT_EQ(0, lists_create(&self->npu, &self->lists));
	layer_generate(&self->layer, 1, false, (struct shape){ 4, 4, 16 }, 16, 1, 1, 0);
	ASSERT_EQ(0, layer_load(&self->npu, &self->layer, &self->loaded));
	lists_add(&self->lists, &self->layer, &self->loaded);
}

FIXTURE_TEARDOWN(devfreq)
{
	if (!self->ready)
		return;
	powerlog_write("refuse none 0");
	hwmodel_inject("clear");
	for (uint32_t i = 0; i < CORES; i++) {
		if (!core_is_bound(i))
			core_bind(i);
		keep(i, "auto");
	}
	if (find_choice(&self->choice)) {
		rates_put(&self->choice, "min_freq", 0);
		rates_put(&self->choice, "max_freq", self->choice.high);
	}
	layer_unload(&self->loaded);
	layer_free(&self->layer);
	lists_destroy(&self->lists);
	npu_close(&self->npu);
	EXPECT_EQ(0, hwmodel_records());
}

/* Jobs one after the other, on one core, for a second. */
static int work(struct npu *npu, const struct lists *lists, const struct loaded *loaded)
{
	int ret = hwmodel_inject("npu delay 100000000");

	for (uint32_t i = 0; i < 10 && !ret; i++) {
		struct drm_rocket_job job = npu_job(lists->tasks, 1, &loaded->input, &loaded->output);

		ret = npu_submit(npu, &job, 1);
	}
	return ret;
}

/* Works until the rate is the highest. */
static bool work_until_high(struct npu *npu, const struct lists *lists, const struct loaded *loaded,
			    const struct rates *choice)
{
	int64_t end = now_ns() + LIMIT;

	while (rates_get(choice, "cur_freq") != choice->high) {
		if (now_ns() > end || work(npu, lists, loaded))
			return false;
		while (rates_get(choice, "cur_freq") != choice->high && npu_bo_prep(&loaded->output, 0))
			usleep(5000);
	}
	return true;
}

static int store(struct npu *npu, const struct lists *lists, const struct layer *layer,
		 const struct loaded *loaded)
{
	struct drm_rocket_job job = npu_job(lists->tasks, 1, &loaded->input, &loaded->output);
	int ret = hwmodel_inject("npu delay 0");

	ret = ret ?: npu_submit(npu, &job, 1);
	return ret ?: layer_check(layer, loaded);
}

/* One of the three cores works, and the others are on: that is a load, as it would be of one core alone. */
TEST_F_TIMEOUT(devfreq, the_rate_goes_up_while_one_core_works_and_down_when_none_does, 400)
{
	for (uint32_t i = 0; i < CORES; i++)
		ASSERT_EQ(0, keep(i, "on"));
	for (uint32_t n = 0; n < 3; n++) {
		ASSERT_TRUE(rates_wait(&self->choice, self->choice.low));
		EXPECT_TRUE(work_until_high(&self->npu, &self->lists, &self->loaded, &self->choice));
		EXPECT_GE(1, (uint32_t)layer_check(&self->layer, &self->loaded));
		EXPECT_TRUE(rates_wait(&self->choice, self->choice.low));
	}
}

/* In microvolts, what the device tree says that a rate takes. */
static long long voltage_for(long long rate)
{
	return rate <= 600000000 ? 700000 : rate <= 800000000 ? 750000 : 850000;
}

/* How often the model has seen a lower voltage than the rate takes; the count of changes is added up. */
static uint32_t too_low(uint32_t *changes)
{
	long long rate = 0, voltage = 850000;
	FILE *file = fopen(HWMODEL_DIR "/power", "r");
	uint32_t wrong = 0;
	char line[64];

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "=clk_npu %lld", &rate) == 1 ||
		    sscanf(line, "=vdd-npu %lld", &voltage) == 1) {
			++*changes;
			wrong += voltage < voltage_for(rate);
		}
	}
	if (file)
		fclose(file);
	return wrong;
}

/*
 * The governor stands still while all cores are off, and goes on with the first one that is on, whichever. What
 * is asked for meanwhile waits for that: the firmware that sets the rate needs the NPU's power.
 */
TEST_F_TIMEOUT(devfreq, while_all_cores_are_off_the_rate_stays_as_it_is, 400)
{
	for (uint32_t core = 0; core < CORES; core++) {
		uint32_t changes = 0;
		char path[512];

		ASSERT_EQ(0, keep(core, "on"));
		EXPECT_TRUE(work_until_high(&self->npu, &self->lists, &self->loaded, &self->choice));
		/* Off at once, so that the rate does not fall before. */
		for (uint32_t i = 0; i < CORES; i++) {
			ASSERT_EQ(0, core_attribute(i, "power/autosuspend_delay_ms", path, sizeof(path)));
			ASSERT_EQ(0, text_write(path, "0"));
		}
		ASSERT_EQ(0, rates_put(&self->choice, "min_freq", self->choice.high));
		EXPECT_GE(1, (uint32_t)layer_check(&self->layer, &self->loaded));
		ASSERT_EQ(0, keep(core, "auto"));
		ASSERT_EQ(0, cores_wait_off());
		EXPECT_EQ(self->choice.high, rates_get(&self->choice, "cur_freq"));
		ASSERT_EQ(0, powerlog_write("reset"));
		ASSERT_EQ(0, rates_put(&self->choice, "min_freq", 0));
		ASSERT_EQ(0, rates_put(&self->choice, "max_freq", self->choice.low));
		ASSERT_EQ(0, rates_put(&self->choice, "max_freq", self->choice.at[1]));
		EXPECT_EQ(self->choice.high, rates_get(&self->choice, "cur_freq"));
		EXPECT_EQ(0, cores_on());
		EXPECT_EQ(0, too_low(&changes));
		EXPECT_EQ(0, changes);
		ASSERT_EQ(0, keep(core, "on"));
		EXPECT_GE(self->choice.at[1], rates_get(&self->choice, "cur_freq"));
		EXPECT_EQ(0, too_low(&changes));
		EXPECT_LE(2, changes);
		/* While it is on, a limit takes effect at once. */
		ASSERT_EQ(0, rates_put(&self->choice, "max_freq", self->choice.low));
		EXPECT_EQ(self->choice.low, rates_get(&self->choice, "cur_freq"));
		ASSERT_EQ(0, rates_put(&self->choice, "max_freq", self->choice.high));
		EXPECT_TRUE(rates_wait(&self->choice, self->choice.low));
		EXPECT_GE(1, (uint32_t)store(&self->npu, &self->lists, &self->layer, &self->loaded));
		ASSERT_EQ(0, keep(core, "auto"));
	}
}

/* The last rate that the model has seen, or -1 if there was none. */
static long long last_rate(void)
{
	FILE *file = fopen(HWMODEL_DIR "/power", "r");
	long long rate = -1;
	char line[64];

	while (file && fgets(line, sizeof(line), file))
		sscanf(line, "=clk_npu %lld", &rate);
	if (file)
		fclose(file);
	return rate;
}

/* As the model's boot loader leaves it. */
#define BOOT_RATE	200000000

/* What makes the clock is behind the domain that carries the cores, which does not like to be switched at any rate. */
TEST_F_TIMEOUT(devfreq, the_clock_is_as_slow_as_after_boot_while_power_is_switched, 400)
{
	for (uint32_t i = 0; i < CORES; i++) {
		uint32_t changes = 0;

		ASSERT_EQ(0, keep(i, "on"));
		ASSERT_EQ(0, rates_put(&self->choice, "min_freq", self->choice.high));
		ASSERT_TRUE(rates_wait(&self->choice, self->choice.high));
		ASSERT_EQ(0, powerlog_write("reset"));
		ASSERT_EQ(0, keep(i, "auto"));
		ASSERT_EQ(0, cores_wait_off());
		EXPECT_EQ(BOOT_RATE, last_rate());
		EXPECT_EQ(self->choice.high, rates_get(&self->choice, "cur_freq"));
		ASSERT_EQ(0, keep(i, "on"));
		EXPECT_EQ(self->choice.high, last_rate());
		/* The voltage has stayed. */
		EXPECT_EQ(0, too_low(&changes));
		EXPECT_EQ(2, changes);
		EXPECT_GE(1, (uint32_t)store(&self->npu, &self->lists, &self->layer, &self->loaded));
		ASSERT_EQ(0, keep(i, "auto"));
		ASSERT_EQ(0, cores_wait_off());
		EXPECT_EQ(BOOT_RATE, last_rate());
	}
	EXPECT_EQ(0, hwmodel_records());
}

TEST_F_TIMEOUT(devfreq, who_goes_with_the_choice_leaves_the_rate_that_was_there_before, 200)
{
	uint32_t owner = choice_owner();

	ASSERT_GT(CORES, owner);
	for (uint32_t i = 0; i < CORES; i++)
		ASSERT_EQ(0, keep(i, "on"));
	ASSERT_EQ(0, rates_put(&self->choice, "min_freq", self->choice.high));
	ASSERT_TRUE(rates_wait(&self->choice, self->choice.high));
	ASSERT_EQ(0, powerlog_write("reset"));
	ASSERT_EQ(0, core_unbind(owner));
	EXPECT_EQ(BOOT_RATE, last_rate());
	EXPECT_LT(0, cores_on());
	EXPECT_GE(1, (uint32_t)store(&self->npu, &self->lists, &self->layer, &self->loaded));
	ASSERT_EQ(0, core_bind(owner));
	for (uint32_t i = 0; i < CORES; i++)
		ASSERT_EQ(0, keep(i, "auto"));
	ASSERT_EQ(0, cores_wait_off());
	EXPECT_EQ(BOOT_RATE, last_rate());
	EXPECT_EQ(0, hwmodel_records());
}

TEST_F_TIMEOUT(devfreq, voltage_comes_before_a_higher_rate_and_goes_after_a_lower_one, 200)
{
	uint32_t changes = 0;

	ASSERT_EQ(0, keep(0, "on"));
	ASSERT_EQ(0, rates_put(&self->choice, "min_freq", self->choice.high));
	ASSERT_TRUE(rates_wait(&self->choice, self->choice.high));
	ASSERT_EQ(0, powerlog_write("reset"));
	for (uint32_t i = 0; i < 3; i++) {
		ASSERT_EQ(0, rates_put(&self->choice, "min_freq", 0));
		ASSERT_EQ(0, rates_put(&self->choice, "max_freq", self->choice.low));
		EXPECT_TRUE(rates_wait(&self->choice, self->choice.low));
		ASSERT_EQ(0, rates_put(&self->choice, "max_freq", self->choice.high));
		ASSERT_EQ(0, rates_put(&self->choice, "min_freq", self->choice.high));
		EXPECT_TRUE(rates_wait(&self->choice, self->choice.high));
	}
	EXPECT_EQ(0, too_low(&changes));
	EXPECT_LE(12, changes);
	EXPECT_GE(1, (uint32_t)store(&self->npu, &self->lists, &self->layer, &self->loaded));
}

TEST_F_TIMEOUT(devfreq, a_supply_that_refuses_leaves_the_rate_as_it_is, 200)
{
	ASSERT_EQ(0, keep(0, "on"));
	ASSERT_EQ(0, rates_put(&self->choice, "max_freq", self->choice.low));
	ASSERT_TRUE(rates_wait(&self->choice, self->choice.low));
	ASSERT_EQ(0, keep(0, "auto"));
	ASSERT_EQ(0, cores_wait_off());
	ASSERT_EQ(0, powerlog_write("refuse =vdd-npu 1000000"));
	rates_put(&self->choice, "max_freq", self->choice.high);
	rates_put(&self->choice, "min_freq", self->choice.high);
	EXPECT_EQ(self->choice.low, rates_get(&self->choice, "cur_freq"));
	EXPECT_GE(1, (uint32_t)store(&self->npu, &self->lists, &self->layer, &self->loaded));
	ASSERT_EQ(0, keep(0, "on"));
	EXPECT_EQ(self->choice.low, rates_get(&self->choice, "cur_freq"));
	ASSERT_EQ(0, powerlog_write("refuse none 0"));
	rates_put(&self->choice, "min_freq", 0);
	ASSERT_EQ(0, rates_put(&self->choice, "min_freq", self->choice.high));
	EXPECT_TRUE(rates_wait(&self->choice, self->choice.high));
}

/* There is one choice, whoever has it, and none while the core is unbound that has it. */
TEST_F_TIMEOUT(devfreq, the_choice_goes_with_its_core_in_the_middle_of_work_and_comes_back, 400)
{
	for (uint32_t n = 0; n < 4; n++) {
		struct rates choice;
		uint32_t owner = choice_owner();

		ASSERT_EQ(1, find_choice(&choice));
		ASSERT_GT(CORES, owner);
		ASSERT_EQ(0, work(&self->npu, &self->lists, &self->loaded));
		ASSERT_EQ(0, core_unbind(owner));
		EXPECT_EQ(0, find_choice(&choice));
		EXPECT_GE(1, (uint32_t)layer_check(&self->layer, &self->loaded));
		/* Another one has it next time, if that is bound first. */
		ASSERT_EQ(0, core_unbind((owner + 1) % CORES));
		ASSERT_EQ(0, core_bind((owner + 1) % CORES));
		ASSERT_EQ(0, core_bind(owner));
		ASSERT_EQ(1, find_choice(&choice));
		EXPECT_TRUE(work_until_high(&self->npu, &self->lists, &self->loaded, &choice));
		EXPECT_GE(1, (uint32_t)layer_check(&self->layer, &self->loaded));
	}
}

/* By rules D2 and D6: a device tree without operating points is no mistake. */
TEST(without_a_choice_everything_works)
{
	struct rates choice;

	NEEDS_MODEL();
	if (find_choice(&choice))
		SKIP(return, "there is a choice");
	EXPECT_EQ(0, cores_run(npu_is_c_driver() ? 0x1 : 0x7));
	EXPECT_EQ(0, hwmodel_records());
}

TEST_HARNESS_MAIN
