// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * /sys/kernel/debug/hwmodel: what the tests see of the model.
 *
 * counters: "name value" lines; writing "reset" starts them at zero.
 * records: "N records", then one line for each; writing "reset" forgets them.
 * inject: write one command to make the model misbehave, or "expect KIND COUNT" before a test
 * breaks a rule on purpose; reading lists the commands.
 * power: which clocks, supplies and domains were switched, in order: "+NAME" on, "-NAME" off, "=NAME VALUE"
 * another rate or voltage, "!NAME" refused to go on, "!=NAME" refused to change; writing "reset" starts anew,
 * "refuse NAME COUNT" or "refuse =NAME COUNT" lets the next COUNT attempts fail.
 * pwr: the commands of the PWR block, in order, a line each, with "!" before those that were refused on request;
 * writing "reset" starts anew.
 * as/N: what the table walker finds in address space N; 8 bytes for each page of 4 KiB, the table
 * entry for that page, or zero.
 */

#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "glue.h"

#define LINE_SIZE		128
#define SPACES			16

/* Copies one line of text, without its newline, into line[LINE_SIZE]. Returns its length. */
static ssize_t soc_debug_get_line(char *line, const char __user *buf, size_t count)
{
	size_t len;

	if (count >= LINE_SIZE)
		return -EINVAL;
	if (copy_from_user(line, buf, count))
		return -EFAULT;

	line[count] = '\0';
	len = strcspn(line, "\n");
	line[len] = '\0';
	return len;
}

static ssize_t soc_debug_reset(const char __user *buf, size_t count, void (*reset)(void))
{
	char line[LINE_SIZE];
	ssize_t len = soc_debug_get_line(line, buf, count);

	if (len < 0)
		return len;
	if (strcmp(line, "reset"))
		return -EINVAL;

	reset();
	return count;
}

static int counters_show(struct seq_file *m, void *v)
{
	model_show_counters(m);
	return 0;
}

static ssize_t counters_write(struct file *file, const char __user *buf, size_t count,
			      loff_t *pos)
{
	return soc_debug_reset(buf, count, model_clear_counters);
}
DEFINE_SHOW_STORE_ATTRIBUTE(counters);

static int records_show(struct seq_file *m, void *v)
{
	model_show_records(m);
	return 0;
}

static ssize_t records_write(struct file *file, const char __user *buf, size_t count, loff_t *pos)
{
	return soc_debug_reset(buf, count, model_clear_records);
}
DEFINE_SHOW_STORE_ATTRIBUTE(records);

static int pwr_show(struct seq_file *m, void *v)
{
	model_show_pwr(m);
	return 0;
}

static ssize_t pwr_write(struct file *file, const char __user *buf, size_t count, loff_t *pos)
{
	return soc_debug_reset(buf, count, model_clear_pwr);
}
DEFINE_SHOW_STORE_ATTRIBUTE(pwr);

static int inject_show(struct seq_file *m, void *v)
{
	model_show_inject(m);
	return 0;
}

static ssize_t inject_write(struct file *file, const char __user *buf, size_t count, loff_t *pos)
{
	char line[LINE_SIZE];
	ssize_t len = soc_debug_get_line(line, buf, count);
	int ret;

	if (len < 0)
		return len;

	ret = model_inject(line, len);
	return ret ? ret : count;
}
DEFINE_SHOW_STORE_ATTRIBUTE(inject);

static int power_show(struct seq_file *m, void *v)
{
	soc_power_show_log(m);
	return 0;
}

static ssize_t power_write(struct file *file, const char __user *buf, size_t count, loff_t *pos)
{
	char line[LINE_SIZE], name[LINE_SIZE];
	ssize_t len = soc_debug_get_line(line, buf, count);
	unsigned int times;
	int ret = 0;

	if (len < 0)
		return len;

	if (!strcmp(line, "reset"))
		soc_power_clear_log();
	else if (sscanf(line, "refuse %127s %u", name, &times) == 2)
		ret = soc_power_refuse(name, times);
	else
		ret = -EINVAL;
	return ret ? ret : count;
}
DEFINE_SHOW_STORE_ATTRIBUTE(power);

static ssize_t leaves_read(struct file *file, char __user *buf, size_t count, loff_t *pos)
{
	u32 as_nr = (uintptr_t)file_inode(file)->i_private;
	u64 leaves[64];
	size_t done = 0;

	if (*pos % sizeof(u64) || count % sizeof(u64))
		return -EINVAL;

	while (done < count) {
		size_t len = min(count - done, sizeof(leaves));

		model_leaves(as_nr, *pos / sizeof(u64), leaves, len / sizeof(u64));
		if (copy_to_user(buf + done, leaves, len))
			return -EFAULT;
		*pos += len;
		done += len;
		cond_resched();
	}
	return done;
}

static const struct file_operations leaves_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.read = leaves_read,
};

void soc_debug_init(void)
{
	struct dentry *dir = debugfs_create_dir("hwmodel", NULL);
	struct dentry *spaces = debugfs_create_dir("as", dir);
	uintptr_t as_nr;
	char name[8];

	debugfs_create_file("counters", 0600, dir, NULL, &counters_fops);
	debugfs_create_file("records", 0600, dir, NULL, &records_fops);
	debugfs_create_file("inject", 0600, dir, NULL, &inject_fops);
	debugfs_create_file("pwr", 0600, dir, NULL, &pwr_fops);
	debugfs_create_file("power", 0600, dir, NULL, &power_fops);
	for (as_nr = 0; as_nr < SPACES; as_nr++) {
		snprintf(name, sizeof(name), "%u", (unsigned int)as_nr);
		debugfs_create_file(name, 0400, spaces, (void *)as_nr, &leaves_fops);
	}
}
