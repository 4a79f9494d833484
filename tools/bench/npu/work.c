// SPDX-License-Identifier: GPL-2.0 OR MIT
#include <string.h>

#include "bench.h"
#include "work.h"

void work_open(struct work *work, unsigned int warm_up)
{
	work->used = 0;
	MUST(npu_open(&work->npu));
	MUST(lists_create(&work->npu, &work->lists));
	layer_generate(&work->layer, 1, false, (struct shape){ 4, 4, 16 }, 16, 1, 1, 0);
	for (unsigned int i = 0; i < MOST_JOBS; i++) {
		MUST(layer_load(&work->npu, &work->layer, &work->loaded[i]));
		lists_add(&work->lists, &work->layer, &work->loaded[i]);
		work->jobs[i] = npu_job(&work->lists.tasks[i], 1, &work->loaded[i].input,
					&work->loaded[i].output);
	}
	for (unsigned int i = 0; i < warm_up; i++) {
		MUST(work_submit(work, MOST_JOBS));
		MUST(work_wait(work, MOST_JOBS));
	}
}

void work_close(struct work *work)
{
	for (unsigned int i = 0; i < MOST_JOBS; i++) {
		int far = i < work->used ? layer_check(&work->layer, &work->loaded[i]) : 0;

		if (far < 0 || far > 1)
			die("a wrong result: %d", far);
		layer_unload(&work->loaded[i]);
	}
	layer_free(&work->layer);
	lists_destroy(&work->lists);
	npu_close(&work->npu);
}

int work_submit(struct work *work, unsigned int count)
{
	if (work->used < count)
		work->used = count;
	return npu_submit(&work->npu, work->jobs, count);
}

int work_wait(struct work *work, unsigned int count)
{
	int ret = 0;

	for (unsigned int i = 0; i < count && !ret; i++)
		ret = npu_bo_prep(&work->loaded[i].output, PATIENCE);
	return ret;
}
