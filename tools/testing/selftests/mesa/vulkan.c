// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Mesa's Vulkan driver, as a distribution ships it, on the kernel driver. Every ioctl here is one that Mesa decided on, and every
 * command stream is Mesa's. The tests look at what the streams themselves write: events, timestamps, semaphores.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "fixture.h"

#define NODE		"/dev/dri/renderD128"

TEST_F(vulkan, it_is_the_gpu_of_this_node)
{
	VkPhysicalDeviceDrmPropertiesEXT drm = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRM_PROPERTIES_EXT };
	VkPhysicalDeviceDriverProperties driver = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES,
		.pNext = &drm,
	};
	VkPhysicalDeviceProperties2 properties = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
		.pNext = &driver,
	};
	struct stat node;

	vkGetPhysicalDeviceProperties2(self->gpu, &properties);
	TH_LOG("%s: %s, %s", properties.properties.deviceName, driver.driverName, driver.driverInfo);
	EXPECT_EQ(VK_DRIVER_ID_MESA_PANVK, driver.driverID);
	EXPECT_NE(NULL, strstr(properties.properties.deviceName, "Mali-G610"));
	ASSERT_EQ(0, stat(NODE, &node));
	ASSERT_TRUE(drm.hasRender);
	EXPECT_EQ(major(node.st_rdev), drm.renderMajor);
	EXPECT_EQ(minor(node.st_rdev), drm.renderMinor);
}

TEST_F(vulkan, a_submission_of_nothing_signals_its_fence)
{
	EXPECT_EQ(VK_SUCCESS, run(self, VK_NULL_HANDLE));
}

TEST_F(vulkan, an_event_is_what_the_command_stream_wrote)
{
	VkEvent a = event(self), b = event(self);
	VkCommandBuffer set = begin(self), reset;

	ASSERT_NE(VK_NULL_HANDLE, a);
	ASSERT_NE(VK_NULL_HANDLE, b);
	vkCmdSetEvent(set, a, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT);
	ASSERT_EQ(VK_SUCCESS, end(set));
	reset = begin(self);
	vkCmdResetEvent(reset, a, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT);
	vkCmdSetEvent(reset, b, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT);
	ASSERT_EQ(VK_SUCCESS, end(reset));

	EXPECT_EQ(VK_EVENT_RESET, vkGetEventStatus(self->device, a));
	ASSERT_EQ(VK_SUCCESS, run(self, set));
	EXPECT_EQ(VK_EVENT_SET, vkGetEventStatus(self->device, a));
	EXPECT_EQ(VK_EVENT_RESET, vkGetEventStatus(self->device, b));
	ASSERT_EQ(VK_SUCCESS, run(self, reset));
	EXPECT_EQ(VK_EVENT_RESET, vkGetEventStatus(self->device, a));
	EXPECT_EQ(VK_EVENT_SET, vkGetEventStatus(self->device, b));
	vkDestroyEvent(self->device, a, NULL);
	vkDestroyEvent(self->device, b, NULL);
}

/* The same stream over and over: nothing of an earlier run is seen in a later one. */
TEST_F(vulkan, two_hundred_submissions)
{
	VkEvent marks = event(self);
	VkCommandBuffer set = begin(self), reset;
	int i;

	ASSERT_NE(VK_NULL_HANDLE, marks);
	vkCmdSetEvent(set, marks, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT);
	ASSERT_EQ(VK_SUCCESS, end(set));
	reset = begin(self);
	vkCmdResetEvent(reset, marks, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT);
	ASSERT_EQ(VK_SUCCESS, end(reset));
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(VK_SUCCESS, run(self, set));
		ASSERT_EQ(VK_EVENT_SET, vkGetEventStatus(self->device, marks)) TH_LOG("round %d", i);
		ASSERT_EQ(VK_SUCCESS, run(self, reset));
		ASSERT_EQ(VK_EVENT_RESET, vkGetEventStatus(self->device, marks)) TH_LOG("round %d", i);
	}
	vkDestroyEvent(self->device, marks, NULL);
}

/* Nobody waits for them one by one: they lie in the queue together. */
TEST_F(vulkan, a_hundred_submissions_at_once)
{
	VkEvent marks[100];
	VkCommandBuffer commands;
	int i;

	for (i = 0; i < 100; i++) {
		marks[i] = event(self);
		commands = begin(self);
		ASSERT_NE(VK_NULL_HANDLE, marks[i]);
		vkCmdSetEvent(commands, marks[i], VK_PIPELINE_STAGE_ALL_COMMANDS_BIT);
		ASSERT_EQ(VK_SUCCESS, end(commands));
		ASSERT_EQ(VK_SUCCESS, submit(self, commands, NULL, i == 99 ? self->fence : VK_NULL_HANDLE));
	}
	ASSERT_EQ(VK_SUCCESS, vkWaitForFences(self->device, 1, &self->fence, VK_TRUE, PATIENCE));
	for (i = 0; i < 100; i++) {
		EXPECT_EQ(VK_EVENT_SET, vkGetEventStatus(self->device, marks[i])) TH_LOG("event %d", i);
		vkDestroyEvent(self->device, marks[i], NULL);
	}
}

/* The streams of one submission, which run side by side, wait for each other; and for what the CPU had set before. */
TEST_F(vulkan, command_streams_wait_for_events)
{
	VkEvent first = event(self), second = event(self), last = event(self);
	VkCommandBuffer commands = begin(self);

	ASSERT_NE(VK_NULL_HANDLE, first);
	ASSERT_NE(VK_NULL_HANDLE, second);
	ASSERT_NE(VK_NULL_HANDLE, last);
	vkCmdWaitEvents(commands, 1, &first, VK_PIPELINE_STAGE_HOST_BIT | VK_PIPELINE_STAGE_ALL_COMMANDS_BIT,
			VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, 0, NULL, 0, NULL, 0, NULL);
	vkCmdSetEvent(commands, second, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT);
	vkCmdWaitEvents(commands, 1, &second, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_PIPELINE_STAGE_ALL_GRAPHICS_BIT, 0, NULL, 0, NULL,
			0, NULL);
	vkCmdSetEvent(commands, last, VK_PIPELINE_STAGE_ALL_GRAPHICS_BIT);
	ASSERT_EQ(VK_SUCCESS, end(commands));
	ASSERT_EQ(VK_SUCCESS, vkSetEvent(self->device, first));
	ASSERT_EQ(VK_SUCCESS, run(self, commands));
	EXPECT_EQ(VK_EVENT_SET, vkGetEventStatus(self->device, second));
	EXPECT_EQ(VK_EVENT_SET, vkGetEventStatus(self->device, last));
	vkDestroyEvent(self->device, first, NULL);
	vkDestroyEvent(self->device, second, NULL);
	vkDestroyEvent(self->device, last, NULL);
}

TEST_F(vulkan, timestamps_rise)
{
	VkQueryPoolCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
		.queryType = VK_QUERY_TYPE_TIMESTAMP,
		.queryCount = 2,
	};
	VkCommandBuffer commands = begin(self);
	uint64_t first = 0, stamps[2];
	VkQueryPool queries;
	int i;

	if (!self->family.timestampValidBits)
		SKIP(return, "this Mesa offers no timestamps here");
	ASSERT_EQ(VK_SUCCESS, vkCreateQueryPool(self->device, &info, NULL, &queries));
	vkCmdResetQueryPool(commands, queries, 0, 2);
	vkCmdWriteTimestamp(commands, VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT, queries, 0);
	vkCmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, queries, 1);
	ASSERT_EQ(VK_SUCCESS, end(commands));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(VK_SUCCESS, run(self, commands));
		ASSERT_EQ(VK_SUCCESS, vkGetQueryPoolResults(self->device, queries, 0, 2, sizeof(stamps), stamps, sizeof(*stamps),
							    VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT));
		EXPECT_LT(first, stamps[0]);
		EXPECT_LE(stamps[0], stamps[1]);
		first = stamps[1];
	}
	vkDestroyQueryPool(self->device, queries, NULL);
}

TEST_F(vulkan, a_timeline_orders_submissions_that_come_in_the_wrong_order)
{
	VkSemaphoreTypeCreateInfo type = {
		.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
		.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE,
	};
	VkSemaphoreCreateInfo info = { .sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, .pNext = &type };
	VkPipelineStageFlags stages = VK_PIPELINE_STAGE_ALL_COMMANDS_BIT;
	VkEvent done = event(self);
	VkCommandBuffer commands = begin(self);
	uint64_t one = 1, two = 2, value;
	VkSemaphore line;
	VkTimelineSemaphoreSubmitInfo values = {
		.sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
		.waitSemaphoreValueCount = 1,
		.pWaitSemaphoreValues = &one,
		.signalSemaphoreValueCount = 1,
		.pSignalSemaphoreValues = &two,
	};
	VkSubmitInfo work = {
		.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
		.pNext = &values,
		.waitSemaphoreCount = 1,
		.pWaitSemaphores = &line,
		.pWaitDstStageMask = &stages,
		.commandBufferCount = 1,
		.pCommandBuffers = &commands,
		.signalSemaphoreCount = 1,
		.pSignalSemaphores = &line,
	};
	VkSemaphoreSignalInfo signal = { .sType = VK_STRUCTURE_TYPE_SEMAPHORE_SIGNAL_INFO, .value = 1 };
	VkSemaphoreWaitInfo wait = {
		.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
		.semaphoreCount = 1,
		.pSemaphores = &line,
		.pValues = &two,
	};

	ASSERT_EQ(VK_SUCCESS, vkCreateSemaphore(self->device, &info, NULL, &line));
	ASSERT_NE(VK_NULL_HANDLE, done);
	vkCmdSetEvent(commands, done, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT);
	ASSERT_EQ(VK_SUCCESS, end(commands));
	ASSERT_EQ(VK_SUCCESS, vkQueueSubmit(self->queue, 1, &work, VK_NULL_HANDLE));
	EXPECT_EQ(VK_TIMEOUT, vkWaitSemaphores(self->device, &wait, SECOND / 5));
	EXPECT_EQ(VK_EVENT_RESET, vkGetEventStatus(self->device, done));
	signal.semaphore = line;
	ASSERT_EQ(VK_SUCCESS, vkSignalSemaphore(self->device, &signal));
	ASSERT_EQ(VK_SUCCESS, vkWaitSemaphores(self->device, &wait, PATIENCE));
	ASSERT_EQ(VK_SUCCESS, vkGetSemaphoreCounterValue(self->device, line, &value));
	EXPECT_EQ(2, value);
	EXPECT_EQ(VK_EVENT_SET, vkGetEventStatus(self->device, done));
	ASSERT_EQ(VK_SUCCESS, vkDeviceWaitIdle(self->device));
	vkDestroySemaphore(self->device, line, NULL);
	vkDestroyEvent(self->device, done, NULL);
}

TEST_F(vulkan, memory_comes_and_goes)
{
	VkDeviceMemory made;
	uint32_t *words;
	int i;

	for (i = 0; i < 20; i++) {
		ASSERT_EQ(VK_SUCCESS, memory(self, 8 * MEBIBYTE, NULL, &made));
		ASSERT_EQ(VK_SUCCESS, vkMapMemory(self->device, made, 0, VK_WHOLE_SIZE, 0, (void **)&words));
		EXPECT_EQ(0, words[0]);
		EXPECT_EQ(0, words[2 * MEBIBYTE - 1]);
		words[0] = words[2 * MEBIBYTE - 1] = 0xdeadbeef;
		vkUnmapMemory(self->device, made);
		vkFreeMemory(self->device, made, NULL);
	}
}

TEST_F(vulkan, memory_is_shared_through_a_dma_buf)
{
	VkExportMemoryAllocateInfo exported = {
		.sType = VK_STRUCTURE_TYPE_EXPORT_MEMORY_ALLOCATE_INFO,
		.handleTypes = VK_EXTERNAL_MEMORY_HANDLE_TYPE_DMA_BUF_BIT_EXT,
	};
	VkImportMemoryFdInfoKHR imported = {
		.sType = VK_STRUCTURE_TYPE_IMPORT_MEMORY_FD_INFO_KHR,
		.handleType = VK_EXTERNAL_MEMORY_HANDLE_TYPE_DMA_BUF_BIT_EXT,
	};
	VkMemoryGetFdInfoKHR of = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_GET_FD_INFO_KHR,
		.handleType = VK_EXTERNAL_MEMORY_HANDLE_TYPE_DMA_BUF_BIT_EXT,
	};
	PFN_vkGetMemoryFdKHR get_fd = (PFN_vkGetMemoryFdKHR)vkGetDeviceProcAddr(self->device, "vkGetMemoryFdKHR");
	VkDeviceMemory mine, theirs;
	uint32_t *words;

	ASSERT_TRUE(get_fd != NULL);
	ASSERT_EQ(VK_SUCCESS, memory(self, MEBIBYTE, &exported, &mine));
	ASSERT_EQ(VK_SUCCESS, vkMapMemory(self->device, mine, 0, VK_WHOLE_SIZE, 0, (void **)&words));
	words[1000] = 0xcafe;
	vkUnmapMemory(self->device, mine);
	of.memory = mine;
	ASSERT_EQ(VK_SUCCESS, get_fd(self->device, &of, &imported.fd));
	ASSERT_EQ(VK_SUCCESS, memory(self, MEBIBYTE, &imported, &theirs));
	vkFreeMemory(self->device, mine, NULL);
	ASSERT_EQ(VK_SUCCESS, vkMapMemory(self->device, theirs, 0, VK_WHOLE_SIZE, 0, (void **)&words));
	EXPECT_EQ(0xcafe, words[1000]);
	vkFreeMemory(self->device, theirs, NULL);
}

/* Mesa binds these with asynchronous VM_BINDs that wait and signal. */
TEST_F(vulkan, sparse_buffers_are_bound_and_unbound_in_order)
{
	VkBufferCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
		.flags = VK_BUFFER_CREATE_SPARSE_BINDING_BIT,
		.size = 4 * MEBIBYTE,
		.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT,
	};
	VkSparseMemoryBind bind = {};
	VkSparseBufferMemoryBindInfo buffer = { .bindCount = 1, .pBinds = &bind };
	VkBindSparseInfo work = { .sType = VK_STRUCTURE_TYPE_BIND_SPARSE_INFO, .bufferBindCount = 1, .pBufferBinds = &buffer };
	VkMemoryRequirements needs;
	VkDeviceMemory backing;
	int i;

	if (!self->binder)
		SKIP(return, "this Mesa offers no sparse binding here");
	ASSERT_EQ(VK_SUCCESS, vkCreateBuffer(self->device, &info, NULL, &buffer.buffer));
	vkGetBufferMemoryRequirements(self->device, buffer.buffer, &needs);
	ASSERT_EQ(VK_SUCCESS, memory(self, needs.size, NULL, &backing));
	for (i = 0; i < 10; i++) {
		bind.resourceOffset = i % 2 ? needs.alignment : 0;
		bind.size = needs.size - bind.resourceOffset;
		bind.memory = i % 3 == 2 ? VK_NULL_HANDLE : backing;
		ASSERT_EQ(VK_SUCCESS, vkQueueBindSparse(self->binder, 1, &work, self->fence));
		ASSERT_EQ(VK_SUCCESS, vkWaitForFences(self->device, 1, &self->fence, VK_TRUE, PATIENCE));
		ASSERT_EQ(VK_SUCCESS, vkResetFences(self->device, 1, &self->fence));
	}
	vkDestroyBuffer(self->device, buffer.buffer, NULL);
	vkFreeMemory(self->device, backing, NULL);
}

TEST_HARNESS_MAIN
