package cli

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/deckhand-engine/deckhand/internal/engine"
)

// limitsReport are a container's limits as docker inspect shows them. Devices are by number: their paths are not kept.
type limitsReport struct {
	CPUShares         uint64  `json:"CpuShares"`
	Memory            int64   `json:"Memory"`
	NanoCPUs          int64   `json:"NanoCpus"`
	CgroupParent      string  `json:"CgroupParent"`
	BlkioWeight       uint16  `json:"BlkioWeight"`
	CPUPeriod         uint64  `json:"CpuPeriod"`
	CPUQuota          int64   `json:"CpuQuota"`
	CPURealtimePeriod uint64  `json:"CpuRealtimePeriod"`
	CPURealtimeTime   int64   `json:"CpuRealtimeRuntime"`
	CpusetCpus        string  `json:"CpusetCpus"`
	CpusetMems        string  `json:"CpusetMems"`
	MemoryReservation int64   `json:"MemoryReservation"`
	MemorySwap        int64   `json:"MemorySwap"`
	MemorySwappiness  *uint64 `json:"MemorySwappiness"`
	OomKillDisable    *bool   `json:"OomKillDisable"`
	PidsLimit         *int64  `json:"PidsLimit"`

	BlkioWeightDevice    []weightReport   `json:"BlkioWeightDevice,omitempty"`
	BlkioDeviceReadBps   []throttleReport `json:"BlkioDeviceReadBps,omitempty"`
	BlkioDeviceWriteBps  []throttleReport `json:"BlkioDeviceWriteBps,omitempty"`
	BlkioDeviceReadIOps  []throttleReport `json:"BlkioDeviceReadIOps,omitempty"`
	BlkioDeviceWriteIOps []throttleReport `json:"BlkioDeviceWriteIOps,omitempty"`
}

type throttleReport struct {
	Major int64  `json:"Major"`
	Minor int64  `json:"Minor"`
	Rate  uint64 `json:"Rate"`
}

type weightReport struct {
	Major  int64   `json:"Major"`
	Minor  int64   `json:"Minor"`
	Weight *uint16 `json:"Weight"`
}

func limitsOf(l engine.Limits) limitsReport {
	r := limitsReport{CgroupParent: l.CgroupParent}
	if l.Resources == nil {
		return r
	}
	if m := l.Resources.Memory; m != nil {
		r.Memory, r.MemoryReservation, r.MemorySwap = value(m.Limit), value(m.Reservation), value(m.Swap)
		r.MemorySwappiness, r.OomKillDisable = m.Swappiness, m.DisableOOMKiller
	}
	if p := l.Resources.Pids; p != nil {
		r.PidsLimit = p.Limit
	}
	if b := l.Resources.BlockIO; b != nil {
		r.block(b)
	}
	if c := l.Resources.CPU; c != nil {
		r.cpu(c)
	}
	return r
}

func (r *limitsReport) cpu(c *specs.LinuxCPU) {
	r.CPUShares, r.CPUPeriod, r.CPUQuota = value(c.Shares), value(c.Period), value(c.Quota)
	r.CPURealtimePeriod, r.CPURealtimeTime = value(c.RealtimePeriod), value(c.RealtimeRuntime)
	r.CpusetCpus, r.CpusetMems = c.Cpus, c.Mems
	// --cpus is kept as what it means.
	if r.CPUPeriod == cpusPeriod && r.CPUQuota > 0 {
		r.NanoCPUs, r.CPUPeriod, r.CPUQuota = r.CPUQuota*(nanoCPU/cpusPeriod), 0, 0
	}
}

func (r *limitsReport) block(b *specs.LinuxBlockIO) {
	r.BlkioWeight = value(b.Weight)
	for _, d := range b.WeightDevice {
		r.BlkioWeightDevice = append(r.BlkioWeightDevice, weightReport{d.Major, d.Minor, d.Weight})
	}
	for _, l := range []struct {
		from []specs.LinuxThrottleDevice
		to   *[]throttleReport
	}{
		{b.ThrottleReadBpsDevice, &r.BlkioDeviceReadBps},
		{b.ThrottleWriteBpsDevice, &r.BlkioDeviceWriteBps},
		{b.ThrottleReadIOPSDevice, &r.BlkioDeviceReadIOps},
		{b.ThrottleWriteIOPSDevice, &r.BlkioDeviceWriteIOps},
	} {
		for _, d := range l.from {
			*l.to = append(*l.to, throttleReport{d.Major, d.Minor, d.Rate})
		}
	}
}

// value is 0 for nil.
func value[T int64 | uint64 | uint16](p *T) T {
	if p == nil {
		return 0
	}
	return *p
}
