package cgroup

import (
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// memory leaves memory.kernel out: kernels have had none since 5.4, and the specification lets it be ignored.
func (t *translation) memory(m *specs.LinuxMemory) {
	for _, f := range []struct {
		field string
		value *int64
	}{
		{"memory.limit", m.Limit},
		{"memory.swap", m.Swap},
		{"memory.reservation", m.Reservation},
		{"memory.kernelTCP", m.KernelTCP},
	} {
		if deref(f.value) < -1 {
			t.fail(refuse(f.field, "%d is not a number of bytes", *f.value))
		}
	}
	if m.UseHierarchy != nil && !*m.UseHierarchy {
		t.fail(refuse("memory.useHierarchy", "cgroups are always hierarchical"))
	}
	if t.host.isUnified("memory") {
		t.memory2(m)
	} else {
		t.memory1(m)
	}
}

// memory1 is version 1's, where swap is memory and swap together.
func (t *translation) memory1(m *specs.LinuxMemory) {
	limit, swap := deref(m.Limit), deref(m.Swap)
	if limit == -1 && swap == 0 {
		swap = -1 // it may not be below the limit
	}
	t.checkMemory(m, "memory.usage_in_bytes")
	t.number("memory.limit", "memory.limit_in_bytes", limit)
	if swap != 0 {
		s := t.put("memory", "memory.swap", write{"memory.memsw.limit_in_bytes", strconv.FormatInt(swap, 10)})
		s.absent = swapAbsence(swap == -1, swap == limit)
	}
	t.number("memory.reservation", "memory.soft_limit_in_bytes", deref(m.Reservation))
	t.number("memory.kernelTCP", "memory.kmem.tcp.limit_in_bytes", deref(m.KernelTCP))
	if m.Swappiness != nil {
		t.put("memory", "memory.swappiness", write{"memory.swappiness", strconv.FormatUint(*m.Swappiness, 10)})
	}
	if deref(m.DisableOOMKiller) {
		t.put("memory", "memory.disableOOMKiller", write{"memory.oom_control", "1"})
	}
}

// checkMemory refuses a limit that is below what a file says is in use, where that is asked for.
func (t *translation) checkMemory(m *specs.LinuxMemory, file string) {
	if limit := deref(m.Limit); deref(m.CheckBeforeUpdate) && limit > 0 {
		t.put("memory", "memory.limit", write{file, strconv.FormatInt(limit, 10)}).notAbove = true
	}
}

// number sets one of version 1's values, of which 0 is none.
func (t *translation) number(field, file string, n int64) {
	if n != 0 {
		t.put("memory", field, write{file, strconv.FormatInt(n, 10)})
	}
}

// swapAbsence is what it means that the kernel does not account swap.
func swapAbsence(unlimited, none bool) absence {
	switch {
	case unlimited:
		return absentFine
	case none:
		return absentWithoutSwap
	}
	return absentRefused
}

// memory2 is version 2's, where swap is swap alone.
func (t *translation) memory2(m *specs.LinuxMemory) {
	limit := deref(m.Limit)
	t.checkMemory(m, "memory.current")
	if swap, err := t.swapMax(limit, deref(m.Swap)); err != nil {
		t.fail(err)
	} else if swap != "" {
		t.put("memory", "memory.swap", write{"memory.swap.max", swap}).absent = swapAbsence(swap == "max", swap == "0")
	}
	if limit != 0 {
		t.put("memory", "memory.limit", write{"memory.max", orMax(limit)})
	}
	if r := deref(m.Reservation); r != 0 {
		t.put("memory", "memory.reservation", write{"memory.low", orMax(r)})
	}
	if deref(m.KernelTCP) > 0 {
		t.fail(refuse("memory.kernelTCP", "cgroups of version 2 count it with all memory"))
	}
	if m.Swappiness != nil {
		t.fail(refuse("memory.swappiness", "cgroups of version 2 have no swappiness of their own"))
	}
	if deref(m.DisableOOMKiller) {
		t.fail(refuse("memory.disableOOMKiller", "with cgroups of version 2 the OOM killer cannot be disabled"))
	}
}

// swapMax is memory.swap.max for version 1's memory and swap together; "" leaves it as it is.
func (t *translation) swapMax(limit, swap int64) (string, error) {
	switch {
	case swap == 0 && limit == -1, swap == -1:
		return "max", nil
	case swap == 0:
		return "", nil
	}
	if limit == 0 {
		now, err := strconv.ParseInt(strings.TrimSpace(t.read("memory.max")), 10, 64)
		if err == nil {
			limit = now
		}
	}
	if limit <= 0 {
		return "", refuse("memory.swap", "it needs a memory.limit")
	}
	if swap < limit {
		return "", refuse("memory.swap", "%d is memory and swap together: it cannot be below the memory.limit of %d", swap, limit)
	}
	return strconv.FormatInt(swap-limit, 10), nil
}
