package cgroup

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// translation makes settings of the specification's resources (config-linux.md, "Control groups").
type translation struct {
	host *host
	read func(file string) string // a file of the live unified group; "" for a new one
	list []setting
	err  error // the first
}

// settings are what r means on this host, without the devices. A resource without its controller is a FieldError.
func (h *host) settings(r *specs.LinuxResources, read func(file string) string) ([]setting, error) {
	t := &translation{host: h, read: read}
	if r.CPU != nil {
		t.cpu(r.CPU)
	}
	if r.Memory != nil {
		t.memory(r.Memory)
	}
	if r.Pids != nil && r.Pids.Limit != nil {
		t.pids(*r.Pids.Limit)
	}
	if r.BlockIO != nil {
		t.blockIO(r.BlockIO)
	}
	t.hugepages(r.HugepageLimits)
	t.rdma(r.Rdma)
	if r.Network != nil {
		t.network(r.Network)
	}
	t.unified(r.Unified)
	return t.list, t.err
}

// fail keeps the first error.
func (t *translation) fail(err error) {
	if t.err == nil {
		t.err = err
	}
}

// put adds a setting of one of version 1's controllers, or of version 2's.
func (t *translation) put(controller, field string, writes ...write) *setting {
	s := setting{controller: controller, field: field, writes: writes, v1: !t.host.isUnified(controller)}
	if s.v1 && t.host.v1Of(controller) == nil {
		t.fail(refuse(field, "this machine has no cgroup controller %s", controller))
	}
	t.list = append(t.list, s)
	return &t.list[len(t.list)-1]
}

// pids sets the limit of tasks. 0 means what 1 does: the first process is there already.
func (t *translation) pids(limit int64) {
	if limit == 0 {
		limit = 1
	}
	t.put("pids", "pids.limit", write{"pids.max", orMax(limit)})
}

// orMax is a number, max where negative.
func orMax(n int64) string {
	if n < 0 {
		return "max"
	}
	return strconv.FormatInt(n, 10)
}

func (t *translation) hugepages(limits []specs.LinuxHugepageLimit) {
	for i, l := range limits {
		field := "hugepageLimits[" + strconv.Itoa(i) + "]"
		if !fileWord(l.Pagesize) {
			t.fail(refuse(field+".pageSize", "%q is not a size", l.Pagesize))
			continue
		}
		max := "limit_in_bytes"
		if t.host.isUnified("hugetlb") {
			max = "max"
		}
		value, name := strconv.FormatUint(l.Limit, 10), "hugetlb."+l.Pagesize
		t.put("hugetlb", field, write{name + "." + max, value})
		t.put("hugetlb", field, write{name + ".rsvd." + max, value}).absent = absentFine // since Linux 5.7
	}
}

// fileWord reports whether s can be part of a file's name.
func fileWord(s string) bool {
	return s != "" && s != "." && s != ".." && !strings.ContainsAny(s, "/\x00\n")
}

func (t *translation) rdma(limits map[string]specs.LinuxRdma) {
	for _, device := range slices.Sorted(maps.Keys(limits)) {
		l := limits[device]
		value := device
		if l.HcaHandles != nil {
			value += " hca_handle=" + strconv.FormatUint(uint64(*l.HcaHandles), 10)
		}
		if l.HcaObjects != nil {
			value += " hca_object=" + strconv.FormatUint(uint64(*l.HcaObjects), 10)
		}
		if value != device {
			t.put("rdma", "rdma."+device, write{"rdma.max", value})
		}
	}
}

// network is version 1's alone.
func (t *translation) network(n *specs.LinuxNetwork) {
	if deref(n.ClassID) != 0 {
		t.put("net_cls", "network.classID", write{"net_cls.classid", strconv.FormatUint(uint64(*n.ClassID), 10)})
	}
	for _, p := range n.Priorities {
		t.put("net_prio", "network.priorities", write{"net_prio.ifpriomap", p.Name + " " + strconv.FormatUint(uint64(p.Priority), 10)})
	}
}

// unified are files of version 2 by name.
func (t *translation) unified(files map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		field := "unified." + name
		controller, _, ok := strings.Cut(name, ".")
		switch {
		case !ok || !fileWord(name):
			t.fail(refuse(field, "the name of a file of a cgroup of version 2 is needed"))
			continue
		case t.host.unified == nil:
			t.fail(refuse(field, "this machine has no cgroups of version 2"))
			continue
		case controller == "cgroup":
			controller = ""
		case !t.host.isUnified(controller):
			t.fail(refuse(field, "the cgroup version 2 tree has no controller %s", controller))
			continue
		}
		t.list = append(t.list, setting{controller: controller, field: field, writes: []write{{name, files[name]}}})
	}
}
