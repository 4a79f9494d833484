/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * A device of Mesa's Vulkan driver with one queue, and what the tests do with it again and again. The Vulkan loader finds the driver
 * by VK_DRIVER_FILES, which whoever starts these programs sets. Included once by each program.
 */
#ifndef SELFTEST_MESA_FIXTURE_H
#define SELFTEST_MESA_FIXTURE_H

#include <stdbool.h>

#include <vulkan/vulkan.h>

#include "kselftest_harness.h"

#include "hwmodel.h"

#define SECOND		1000000000ull
/* What an emulated machine may take for anything at all. */
#define PATIENCE	(60 * SECOND)
#define MEBIBYTE	(1ull << 20)

FIXTURE(vulkan) {
	VkInstance instance;
	VkPhysicalDevice gpu;
	VkDevice device;
	/* Of the family whose queue is used. */
	VkQueueFamilyProperties family;
	VkQueue queue;
	/* A queue that binds memory, or none. */
	VkQueue binder;
	VkCommandPool pool;
	VkFence fence;
};

static inline void make_device(struct __test_metadata *_metadata, FIXTURE_DATA(vulkan) *self)
{
	static const char *const wanted[] = { VK_KHR_EXTERNAL_MEMORY_FD_EXTENSION_NAME, VK_EXT_EXTERNAL_MEMORY_DMA_BUF_EXTENSION_NAME };
	const float priority = 1.0f;
	VkPhysicalDeviceFeatures offered;
	VkPhysicalDeviceVulkan13Features features13 = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES,
		.dynamicRendering = VK_TRUE,
		.synchronization2 = VK_TRUE,
	};
	VkPhysicalDeviceVulkan12Features features12 = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
		.pNext = &features13,
		.timelineSemaphore = VK_TRUE,
	};
	VkQueueFamilyProperties families[8];
	VkDeviceQueueCreateInfo queues[2] = {};
	uint32_t i, count = 8, work, binding;
	VkPhysicalDeviceFeatures features = {};
	VkDeviceCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
		.pNext = &features12,
		.pQueueCreateInfos = queues,
		.enabledExtensionCount = 2,
		.ppEnabledExtensionNames = wanted,
		.pEnabledFeatures = &features,
	};

	vkGetPhysicalDeviceFeatures(self->gpu, &offered);
	features.sparseBinding = offered.sparseBinding;
	vkGetPhysicalDeviceQueueFamilyProperties(self->gpu, &count, families);
	work = binding = count;
	for (i = 0; i < count; i++) {
		if (work == count && families[i].queueFlags & VK_QUEUE_GRAPHICS_BIT)
			work = i;
		if (binding == count && families[i].queueFlags & VK_QUEUE_SPARSE_BINDING_BIT)
			binding = i;
	}
	ASSERT_LT(work, count);
	self->family = families[work];
	for (i = 0; i < 2; i++) {
		queues[i].sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO;
		queues[i].queueFamilyIndex = i ? binding : work;
		queues[i].queueCount = 1;
		queues[i].pQueuePriorities = &priority;
	}
	info.queueCreateInfoCount = binding == count || binding == work ? 1 : 2;
	ASSERT_EQ(VK_SUCCESS, vkCreateDevice(self->gpu, &info, NULL, &self->device));
	vkGetDeviceQueue(self->device, work, 0, &self->queue);
	if (binding < count)
		vkGetDeviceQueue(self->device, binding, 0, &self->binder);
}

FIXTURE_SETUP(vulkan)
{
	VkApplicationInfo application = {
		.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
		.apiVersion = VK_API_VERSION_1_3,
	};
	VkInstanceCreateInfo instance = {
		.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
		.pApplicationInfo = &application,
	};
	VkCommandPoolCreateInfo pool = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
		.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
	};
	VkFenceCreateInfo fence = { .sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO };
	uint32_t count = 1;

	ASSERT_EQ(VK_SUCCESS, vkCreateInstance(&instance, NULL, &self->instance));
	ASSERT_EQ(VK_SUCCESS, vkEnumeratePhysicalDevices(self->instance, &count, &self->gpu));
	ASSERT_EQ(1, count);
	make_device(_metadata, self);
	ASSERT_EQ(VK_SUCCESS, vkCreateCommandPool(self->device, &pool, NULL, &self->pool));
	ASSERT_EQ(VK_SUCCESS, vkCreateFence(self->device, &fence, NULL, &self->fence));
}

FIXTURE_TEARDOWN(vulkan)
{
	EXPECT_EQ(VK_SUCCESS, vkDeviceWaitIdle(self->device));
	vkDestroyFence(self->device, self->fence, NULL);
	vkDestroyCommandPool(self->device, self->pool, NULL);
	vkDestroyDevice(self->device, NULL);
	vkDestroyInstance(self->instance, NULL);
	if (hwmodel_present())
		EXPECT_EQ(0, hwmodel_records());
}

static inline VkCommandBuffer begin(FIXTURE_DATA(vulkan) *self)
{
	VkCommandBufferAllocateInfo info = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
		.commandPool = self->pool,
		.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
		.commandBufferCount = 1,
	};
	VkCommandBufferBeginInfo again = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
		.flags = VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT,
	};
	VkCommandBuffer commands;

	if (vkAllocateCommandBuffers(self->device, &info, &commands) || vkBeginCommandBuffer(commands, &again))
		return VK_NULL_HANDLE;
	return commands;
}

static inline VkResult end(VkCommandBuffer commands)
{
	return vkEndCommandBuffer(commands);
}

static inline VkResult submit(FIXTURE_DATA(vulkan) *self, VkCommandBuffer commands, const void *next, VkFence fence)
{
	VkSubmitInfo info = {
		.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
		.pNext = next,
		.commandBufferCount = commands ? 1 : 0,
		.pCommandBuffers = &commands,
	};

	return vkQueueSubmit(self->queue, 1, &info, fence);
}

/* Submits, waits, and makes the fence ready for the next time. */
static inline VkResult run(FIXTURE_DATA(vulkan) *self, VkCommandBuffer commands)
{
	VkResult result = submit(self, commands, NULL, self->fence);

	if (!result)
		result = vkWaitForFences(self->device, 1, &self->fence, VK_TRUE, PATIENCE);
	if (!result)
		result = vkResetFences(self->device, 1, &self->fence);
	return result;
}

static inline VkEvent event(FIXTURE_DATA(vulkan) *self)
{
	VkEventCreateInfo info = { .sType = VK_STRUCTURE_TYPE_EVENT_CREATE_INFO };
	VkEvent made;

	return vkCreateEvent(self->device, &info, NULL, &made) ? VK_NULL_HANDLE : made;
}

/* Memory that the CPU can map. */
static inline VkResult memory(FIXTURE_DATA(vulkan) *self, uint64_t size, const void *next, VkDeviceMemory *made)
{
	VkPhysicalDeviceMemoryProperties kinds;
	VkMemoryAllocateInfo info = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
		.pNext = next,
		.allocationSize = size,
	};
	const VkMemoryPropertyFlags mapped = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;

	vkGetPhysicalDeviceMemoryProperties(self->gpu, &kinds);
	while ((kinds.memoryTypes[info.memoryTypeIndex].propertyFlags & mapped) != mapped)
		if (++info.memoryTypeIndex == kinds.memoryTypeCount)
			return VK_ERROR_FEATURE_NOT_PRESENT;
	return vkAllocateMemory(self->device, &info, NULL, made);
}

#endif
