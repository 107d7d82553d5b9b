package cgroup

import (
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func (t *translation) blockIO(b *specs.LinuxBlockIO) {
	unified := t.host.isUnified("io")
	if deref(b.Weight) != 0 {
		t.ioWeight(unified, *b.Weight)
	}
	if deref(b.LeafWeight) != 0 {
		t.leafWeight(unified, "blockIO.leafWeight", write{"blkio.leaf_weight", weight(*b.LeafWeight)})
	}
	for i, d := range b.WeightDevice {
		field := "blockIO.weightDevice[" + strconv.Itoa(i) + "]"
		if deref(d.Weight) != 0 {
			t.deviceWeight(unified, field+".weight", d)
		}
		if deref(d.LeafWeight) != 0 {
			t.leafWeight(unified, field+".leafWeight", write{"blkio.leaf_weight_device", device(d.Major, d.Minor) + " " + weight(*d.LeafWeight)})
		}
	}
	for _, f := range []struct {
		field, v1, v2 string
		devices       []specs.LinuxThrottleDevice
	}{
		{"throttleReadBpsDevice", "read_bps_device", "rbps", b.ThrottleReadBpsDevice},
		{"throttleWriteBpsDevice", "write_bps_device", "wbps", b.ThrottleWriteBpsDevice},
		{"throttleReadIOPSDevice", "read_iops_device", "riops", b.ThrottleReadIOPSDevice},
		{"throttleWriteIOPSDevice", "write_iops_device", "wiops", b.ThrottleWriteIOPSDevice},
	} {
		for i, d := range f.devices {
			field := "blockIO." + f.field + "[" + strconv.Itoa(i) + "]"
			t.throttle(unified, field, d, write{f.v1, f.v2})
		}
	}
}

// throttle limits a device's rate; names are the file of version 1 and the key of version 2. A rate of 0 lifts the limit.
func (t *translation) throttle(unified bool, field string, d specs.LinuxThrottleDevice, names write) {
	rate := strconv.FormatUint(d.Rate, 10)
	if !unified {
		t.put("blkio", field, write{"blkio.throttle." + names.file, device(d.Major, d.Minor) + " " + rate})
		return
	}
	if d.Rate == 0 {
		rate = "max"
	}
	t.put("io", field, write{"io.max", device(d.Major, d.Minor) + " " + names.value + "=" + rate})
}

func (t *translation) ioWeight(unified bool, w uint16) {
	if !unified {
		t.put("blkio", "blockIO.weight", write{"blkio.weight", weight(w)}, write{"blkio.bfq.weight", weight(w)})
		return
	}
	t.put("io", "blockIO.weight", write{"io.bfq.weight", weight(w)},
		write{"io.weight", strconv.FormatUint(IOWeight(w), 10)})
}

func (t *translation) deviceWeight(unified bool, field string, d specs.LinuxWeightDevice) {
	dev, w := device(d.Major, d.Minor)+" ", *d.Weight
	if !unified {
		t.put("blkio", field, write{"blkio.weight_device", dev + weight(w)}, write{"blkio.bfq.weight_device", dev + weight(w)})
		return
	}
	t.put("io", field, write{"io.bfq.weight", dev + weight(w)}, write{"io.weight", dev + strconv.FormatUint(IOWeight(w), 10)})
}

// leafWeight was the CFQ scheduler's, gone since Linux 5.0.
func (t *translation) leafWeight(unified bool, field string, w write) {
	if unified {
		t.fail(refuse(field, "cgroups of version 2 have no weight for leaves"))
		return
	}
	t.put("blkio", field, w)
}

// IOWeight is version 2's weight of 1 to 10000 for version 1's of 10 to 1000.
func IOWeight(w uint16) uint64 {
	const lowest, highest = 10, 1000
	w = min(max(w, lowest), highest)
	return 1 + uint64(w-lowest)*9999/(highest-lowest)
}

func weight(w uint16) string { return strconv.FormatUint(uint64(w), 10) }

func device(major, minor int64) string {
	return strconv.FormatInt(major, 10) + ":" + strconv.FormatInt(minor, 10)
}
