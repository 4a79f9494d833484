// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Shaders through Mesa's Vulkan driver. The model runs the command streams that Mesa makes for them, not the shaders, so what is
 * seen is that the work comes to its end: dispatches, and passes through tiler, heap and fragment stage.
 */
#include <string.h>

#include "fixture.h"

/* void main() {} */
static const uint32_t empty_compute[] = {
	0x07230203, 0x00010000, 0, 6, 0,
	2 << 16 | 17, 1,
	3 << 16 | 14, 0, 1,
	5 << 16 | 15, 5, 4, 0x6e69616d, 0,
	6 << 16 | 16, 4, 17, 1, 1, 1,
	2 << 16 | 19, 2,
	3 << 16 | 33, 3, 2,
	5 << 16 | 54, 2, 4, 0, 3,
	2 << 16 | 248, 5,
	1 << 16 | 253,
	1 << 16 | 56,
};

static VkShaderModule shader(FIXTURE_DATA(vulkan) *self, const uint32_t *code, size_t size)
{
	VkShaderModuleCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
		.codeSize = size,
		.pCode = code,
	};
	VkShaderModule made;

	return vkCreateShaderModule(self->device, &info, NULL, &made) ? VK_NULL_HANDLE : made;
}

TEST_F(vulkan, a_dispatch_comes_to_its_end)
{
	VkPipelineLayoutCreateInfo layout = { .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO };
	VkComputePipelineCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
		.stage = {
			.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
			.stage = VK_SHADER_STAGE_COMPUTE_BIT,
			.pName = "main",
		},
	};
	VkEvent done = event(self);
	VkCommandBuffer commands;
	VkPipeline pipeline;

	info.stage.module = shader(self, empty_compute, sizeof(empty_compute));
	ASSERT_NE(VK_NULL_HANDLE, info.stage.module);
	ASSERT_EQ(VK_SUCCESS, vkCreatePipelineLayout(self->device, &layout, NULL, &info.layout));
	ASSERT_EQ(VK_SUCCESS, vkCreateComputePipelines(self->device, VK_NULL_HANDLE, 1, &info, NULL, &pipeline));
	commands = begin(self);
	vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
	vkCmdDispatch(commands, 64, 1, 1);
	vkCmdSetEvent(commands, done, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT);
	ASSERT_EQ(VK_SUCCESS, end(commands));
	EXPECT_EQ(VK_SUCCESS, run(self, commands));
	EXPECT_EQ(VK_EVENT_SET, vkGetEventStatus(self->device, done));
	vkDestroyPipeline(self->device, pipeline, NULL);
	vkDestroyPipelineLayout(self->device, info.layout, NULL);
	vkDestroyShaderModule(self->device, info.stage.module, NULL);
	vkDestroyEvent(self->device, done, NULL);
}

/* gl_Position = vec4(0.5); and for a fragment shader, the same into its output 0. */
#define CONSTANT_SHADER(model, mode, decoration, value)							\
	0x07230203, 0x00010000, 0, 11, 0,								\
	2 << 16 | 17, 1,										\
	3 << 16 | 14, 0, 1,										\
	6 << 16 | 15, model, 9, 0x6e69616d, 0, 6,							\
	mode												\
	4 << 16 | 71, 6, decoration, value,								\
	2 << 16 | 19, 1,										\
	3 << 16 | 33, 2, 1,										\
	3 << 16 | 22, 3, 32,										\
	4 << 16 | 23, 4, 3, 4,										\
	4 << 16 | 32, 5, 3, 4,										\
	4 << 16 | 59, 5, 6, 3,										\
	4 << 16 | 43, 3, 7, 0x3f000000,									\
	7 << 16 | 44, 4, 8, 7, 7, 7, 7,									\
	5 << 16 | 54, 1, 9, 0, 2,									\
	2 << 16 | 248, 10,										\
	3 << 16 | 62, 6, 8,										\
	1 << 16 | 253,											\
	1 << 16 | 56,

static const uint32_t constant_vertex[] = { CONSTANT_SHADER(0, , 11, 0) };
#define ORIGIN_UPPER_LEFT 3 << 16 | 16, 9, 7,
static const uint32_t constant_fragment[] = { CONSTANT_SHADER(4, ORIGIN_UPPER_LEFT, 30, 0) };

#define SIDE 256

struct picture {
	VkImage image;
	VkDeviceMemory memory;
	VkImageView view;
};

static VkResult picture(FIXTURE_DATA(vulkan) *self, struct picture *made)
{
	VkImageCreateInfo image = {
		.sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO,
		.imageType = VK_IMAGE_TYPE_2D,
		.format = VK_FORMAT_R8G8B8A8_UNORM,
		.extent = { SIDE, SIDE, 1 },
		.mipLevels = 1,
		.arrayLayers = 1,
		.samples = VK_SAMPLE_COUNT_1_BIT,
		.tiling = VK_IMAGE_TILING_OPTIMAL,
		.usage = VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT,
	};
	VkImageViewCreateInfo view = {
		.sType = VK_STRUCTURE_TYPE_IMAGE_VIEW_CREATE_INFO,
		.viewType = VK_IMAGE_VIEW_TYPE_2D,
		.format = VK_FORMAT_R8G8B8A8_UNORM,
		.subresourceRange = { VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1 },
	};
	VkMemoryRequirements needs;
	VkResult result;

	result = vkCreateImage(self->device, &image, NULL, &made->image);
	if (result)
		return result;
	vkGetImageMemoryRequirements(self->device, made->image, &needs);
	result = memory(self, needs.size, NULL, &made->memory);
	if (result)
		return result;
	result = vkBindImageMemory(self->device, made->image, made->memory, 0);
	view.image = made->image;
	return result ? result : vkCreateImageView(self->device, &view, NULL, &made->view);
}

static VkResult pipeline(FIXTURE_DATA(vulkan) *self, VkPipelineLayout layout, VkShaderModule vertex, VkShaderModule fragment,
			 VkPipeline *made)
{
	static const VkFormat format = VK_FORMAT_R8G8B8A8_UNORM;
	VkPipelineRenderingCreateInfo rendering = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_RENDERING_CREATE_INFO,
		.colorAttachmentCount = 1,
		.pColorAttachmentFormats = &format,
	};
	VkPipelineShaderStageCreateInfo stages[] = {
		{ VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO, NULL, 0, VK_SHADER_STAGE_VERTEX_BIT, vertex, "main", NULL },
		{ VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO, NULL, 0, VK_SHADER_STAGE_FRAGMENT_BIT, fragment, "main", NULL },
	};
	VkPipelineVertexInputStateCreateInfo input = { .sType = VK_STRUCTURE_TYPE_PIPELINE_VERTEX_INPUT_STATE_CREATE_INFO };
	VkPipelineInputAssemblyStateCreateInfo assembly = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_INPUT_ASSEMBLY_STATE_CREATE_INFO,
		.topology = VK_PRIMITIVE_TOPOLOGY_TRIANGLE_LIST,
	};
	VkViewport viewport = { 0, 0, SIDE, SIDE, 0, 1 };
	VkRect2D scissor = { { 0, 0 }, { SIDE, SIDE } };
	VkPipelineViewportStateCreateInfo view = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_VIEWPORT_STATE_CREATE_INFO,
		.viewportCount = 1,
		.pViewports = &viewport,
		.scissorCount = 1,
		.pScissors = &scissor,
	};
	VkPipelineRasterizationStateCreateInfo raster = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_RASTERIZATION_STATE_CREATE_INFO,
		.lineWidth = 1.0f,
	};
	VkPipelineMultisampleStateCreateInfo samples = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_MULTISAMPLE_STATE_CREATE_INFO,
		.rasterizationSamples = VK_SAMPLE_COUNT_1_BIT,
	};
	VkPipelineColorBlendAttachmentState attachment = { .colorWriteMask = 0xf };
	VkPipelineColorBlendStateCreateInfo blend = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_COLOR_BLEND_STATE_CREATE_INFO,
		.attachmentCount = 1,
		.pAttachments = &attachment,
	};
	VkGraphicsPipelineCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_GRAPHICS_PIPELINE_CREATE_INFO,
		.pNext = &rendering,
		.stageCount = 2,
		.pStages = stages,
		.pVertexInputState = &input,
		.pInputAssemblyState = &assembly,
		.pViewportState = &view,
		.pRasterizationState = &raster,
		.pMultisampleState = &samples,
		.pColorBlendState = &blend,
		.layout = layout,
	};

	return vkCreateGraphicsPipelines(self->device, VK_NULL_HANDLE, 1, &info, NULL, made);
}

/* Vertices through the tiler, with a heap of Mesa's, and fragments: three command streams of a group, one after the other. */
TEST_F(vulkan, a_render_pass_comes_to_its_end)
{
	VkPipelineLayoutCreateInfo info = { .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO };
	VkRenderingAttachmentInfo attachment = {
		.sType = VK_STRUCTURE_TYPE_RENDERING_ATTACHMENT_INFO,
		.imageLayout = VK_IMAGE_LAYOUT_GENERAL,
		.loadOp = VK_ATTACHMENT_LOAD_OP_CLEAR,
		.storeOp = VK_ATTACHMENT_STORE_OP_STORE,
	};
	VkRenderingInfo rendering = {
		.sType = VK_STRUCTURE_TYPE_RENDERING_INFO,
		.renderArea = { { 0, 0 }, { SIDE, SIDE } },
		.layerCount = 1,
		.colorAttachmentCount = 1,
		.pColorAttachments = &attachment,
	};
	VkEvent done = event(self);
	VkShaderModule vertex = shader(self, constant_vertex, sizeof(constant_vertex));
	VkShaderModule fragment = shader(self, constant_fragment, sizeof(constant_fragment));
	struct picture target = {};
	VkPipelineLayout layout;
	VkCommandBuffer commands;
	VkPipeline draw;
	int i;

	ASSERT_NE(VK_NULL_HANDLE, done);
	ASSERT_NE(VK_NULL_HANDLE, vertex);
	ASSERT_NE(VK_NULL_HANDLE, fragment);
	ASSERT_EQ(VK_SUCCESS, picture(self, &target));
	ASSERT_EQ(VK_SUCCESS, vkCreatePipelineLayout(self->device, &info, NULL, &layout));
	ASSERT_EQ(VK_SUCCESS, pipeline(self, layout, vertex, fragment, &draw));
	attachment.imageView = target.view;
	commands = begin(self);
	vkCmdBeginRendering(commands, &rendering);
	vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_GRAPHICS, draw);
	vkCmdDraw(commands, 300, 1, 0, 0);
	vkCmdEndRendering(commands);
	vkCmdSetEvent(commands, done, VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT);
	ASSERT_EQ(VK_SUCCESS, end(commands));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(VK_SUCCESS, run(self, commands));
		EXPECT_EQ(VK_EVENT_SET, vkGetEventStatus(self->device, done));
		ASSERT_EQ(VK_SUCCESS, vkResetEvent(self->device, done));
	}
	vkDestroyPipeline(self->device, draw, NULL);
	vkDestroyPipelineLayout(self->device, layout, NULL);
	vkDestroyImageView(self->device, target.view, NULL);
	vkDestroyImage(self->device, target.image, NULL);
	vkFreeMemory(self->device, target.memory, NULL);
	vkDestroyShaderModule(self->device, vertex, NULL);
	vkDestroyShaderModule(self->device, fragment, NULL);
	vkDestroyEvent(self->device, done, NULL);
}

TEST_HARNESS_MAIN
