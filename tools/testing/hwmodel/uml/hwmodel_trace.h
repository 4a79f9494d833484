/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Tracepoints of the model: every register access, at the place in time where it was made. */

#undef TRACE_SYSTEM
#define TRACE_SYSTEM hwmodel

#if !defined(HWMODEL_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define HWMODEL_TRACE_H

#include <linux/tracepoint.h>

DECLARE_EVENT_CLASS(hwmodel_access,
	TP_PROTO(u32 offset, u32 value),
	TP_ARGS(offset, value),
	TP_STRUCT__entry(
		__field(u32, offset)
		__field(u32, value)
	),
	TP_fast_assign(
		__entry->offset = offset;
		__entry->value = value;
	),
	TP_printk("offset=0x%06x value=0x%08x", __entry->offset, __entry->value)
);

DEFINE_EVENT(hwmodel_access, register_read,
	TP_PROTO(u32 offset, u32 value),
	TP_ARGS(offset, value)
);

DEFINE_EVENT(hwmodel_access, register_write,
	TP_PROTO(u32 offset, u32 value),
	TP_ARGS(offset, value)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE hwmodel_trace
#include <trace/define_trace.h>
