# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# Reads a DRM uAPI header whose comments have been stripped and prints, as one C initialiser a
# line, every fact that user space depends on: size of each structure, place and size of each of
# its members, value of each enumerator. The result is compiled against two headers; a name that
# one of them lacks is a compile error, a number that differs fails the test.

function emit(name, value) {
	print "\t{ \"" name "\", (unsigned long long)(" value ") },"
}

/^[ \t]*#/ { next }

/^[ \t]*struct [a-z0-9_]+ \{/ {
	struct = $2
	emit("sizeof(struct " struct ")", "sizeof(struct " struct ")")
	next
}

/^[ \t]*enum( [a-z0-9_]+)? \{/ { enumerating = 1; next }

/^[ \t]*\}/ { struct = ""; enumerating = 0; next }

struct != "" && /;/ {
	member = $0
	sub(/;.*/, "", member)
	sub(/\[.*/, "", member)
	sub(/.*[ \t*]/, "", member)
	emit("offsetof(" struct ", " member ")", "offsetof(struct " struct ", " member ")")
	emit("sizeof(" struct "." member ")", "sizeof(((struct " struct " *)0)->" member ")")
	next
}

enumerating && match($0, /[A-Z][A-Z0-9_]+/) {
	name = substr($0, RSTART, RLENGTH)
	# A line that continues the value of the enumerator above starts with the macro's name.
	if ($0 !~ /^[ \t]*DRM_IOCTL_PANTHOR\(/)
		emit(name, name)
}
