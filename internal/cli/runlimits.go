package cli

import (
	"errors"
	"fmt"
	"runtime"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/pflag"

	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/internal/linux/cgroup"
)

// limitOptions are the flags of run that limit what a container uses, in docker's words.
type limitOptions struct {
	memory, reservation byteSize
	swap                swapSize
	swappiness          int64
	oomDisable          bool
	cpus                cpuCount
	shares              int64
	quota, period       int64
	rtRuntime, rtPeriod int64
	cpusetCPUs          string
	cpusetMems          string
	pids                int64
	weight              uint16
	weightDevices       deviceList
	readBps, writeBps   deviceList
	readIops, writeIops deviceList
	parent              string
}

func (o *limitOptions) addFlags(f *pflag.FlagSet) {
	f.VarP(&o.memory, "memory", "m", "limit of memory, in `bytes` (or 64m, 2g)")
	f.Var(&o.swap, "memory-swap", "limit of memory and swap together, in `bytes`; -1: unlimited swap")
	f.Var(&o.reservation, "memory-reservation", "memory that is left to it longest, in `bytes`")
	f.Int64Var(&o.swappiness, "memory-swappiness", -1, "how readily its memory is swapped, 0 to 100 (cgroup version 1)")
	f.BoolVar(&o.oomDisable, "oom-kill-disable", false, "have it wait instead of being killed where memory is short (cgroup version 1)")
	f.Var(&o.cpus, "cpus", "how many `CPUs` it may use, as 1.5")
	f.Int64VarP(&o.shares, "cpu-shares", "c", 0, "its `weight` where CPU time is short, against 1024")
	f.Int64Var(&o.quota, "cpu-quota", 0, "CPU time in a period, in `microseconds`")
	f.Int64Var(&o.period, "cpu-period", 0, "that period, in `microseconds`")
	f.Int64Var(&o.rtRuntime, "cpu-rt-runtime", 0, "realtime CPU time in a period, in `microseconds` (cgroup version 1)")
	f.Int64Var(&o.rtPeriod, "cpu-rt-period", 0, "that period, in `microseconds` (cgroup version 1)")
	f.StringVar(&o.cpusetCPUs, "cpuset-cpus", "", "the `CPUs` it may use, as 0-2,5")
	f.StringVar(&o.cpusetMems, "cpuset-mems", "", "the memory `nodes` it may use, as 0-2,5")
	f.Int64Var(&o.pids, "pids-limit", 0, "`number` of processes and threads; -1: unlimited")
	f.Uint16Var(&o.weight, "blkio-weight", 0, "its `weight` where disks are busy, 10 to 1000")
	o.weightDevices.kind, o.readBps.kind, o.writeBps.kind = deviceWeight, deviceBytes, deviceBytes
	f.Var(&o.weightDevices, "blkio-weight-device", "the same for one device, `PATH:weight`")
	f.Var(&o.readBps, "device-read-bps", "limit of reading from a device, `PATH:bytes` a second")
	f.Var(&o.writeBps, "device-write-bps", "limit of writing to a device, `PATH:bytes` a second")
	f.Var(&o.readIops, "device-read-iops", "limit of reads from a device, `PATH:number` a second")
	f.Var(&o.writeIops, "device-write-iops", "limit of writes to a device, `PATH:number` a second")
	f.StringVar(&o.parent, "cgroup-parent", "", "make its cgroup below this `path`")
}

// limits are the container's limits, of which docker's rules hold.
func (o *limitOptions) limits() (engine.Limits, error) {
	l := engine.Limits{CgroupParent: o.parent}
	memory, err := o.memoryLimits()
	if err != nil {
		return l, err
	}
	cpu, err := o.cpuLimits()
	if err != nil {
		return l, err
	}
	block, err := o.blockLimits()
	if err != nil {
		return l, err
	}
	var pids *specs.LinuxPids
	if o.pids > 0 {
		pids = &specs.LinuxPids{Limit: &o.pids}
	}
	if memory != nil || cpu != nil || block != nil || pids != nil {
		l.Resources = &specs.LinuxResources{Memory: memory, CPU: cpu, BlockIO: block, Pids: pids}
	}
	return l, nil
}

// leastMemory is docker's: nothing starts with less.
const leastMemory = 6 << 20

func (o *limitOptions) memoryLimits() (*specs.LinuxMemory, error) {
	if err := o.checkMemory(); err != nil {
		return nil, err
	}
	m := &specs.LinuxMemory{
		Limit: nonZero(int64(o.memory)), Reservation: nonZero(int64(o.reservation)), Swap: nonZero(int64(o.swap)),
	}
	if o.memory > 0 && o.swap == 0 && cgroup.LimitsSwap() {
		m.Swap = nonZero(2 * int64(o.memory)) // docker's default: as much swap as memory
	}
	if o.swappiness >= 0 {
		n := uint64(o.swappiness)
		m.Swappiness = &n
	}
	if o.oomDisable {
		m.DisableOOMKiller = &o.oomDisable
	}
	if *m == (specs.LinuxMemory{}) {
		return nil, nil //nolint:nilnil // no limit
	}
	return m, nil
}

func (o *limitOptions) checkMemory() error {
	switch {
	case o.memory != 0 && o.memory < leastMemory:
		return errors.New("Minimum memory limit allowed is 6MB") //nolint:staticcheck // docker's words
	case o.swappiness < -1 || o.swappiness > 100:
		return fmt.Errorf("Invalid value: %d, valid memory swappiness range is 0-100", o.swappiness) //nolint:staticcheck // docker's words
	case o.reservation != 0 && o.reservation < leastMemory:
		return errors.New("Minimum memory reservation allowed is 6MB") //nolint:staticcheck // docker's words
	case o.memory > 0 && o.reservation > o.memory:
		return errors.New("Minimum memory limit can not be less than memory reservation limit, see usage") //nolint:staticcheck // docker's words
	}
	return o.checkSwap()
}

func (o *limitOptions) checkSwap() error {
	switch {
	case o.memory > 0 && o.swap > 0 && int64(o.swap) < int64(o.memory):
		return errors.New("Minimum memoryswap limit should be larger than memory limit, see usage") //nolint:staticcheck // docker's words
	case o.memory == 0 && o.swap > 0:
		return errors.New("You should always set the Memory limit when using Memoryswap limit, see usage") //nolint:staticcheck // docker's words
	}
	return nil
}

// --cpus is a quota in a hundred milliseconds; it counts in billionths of a CPU.
const (
	cpusPeriod = 100000
	nanoCPU    = 1000000000
)

func (o *limitOptions) cpuLimits() (*specs.LinuxCPU, error) {
	if err := o.checkCPU(); err != nil {
		return nil, err
	}
	c := &specs.LinuxCPU{
		Shares: o.cpuShares(), Quota: nonZero(o.quota), Period: nonZero(uint64(o.period)), //nolint:gosec // not negative
		RealtimeRuntime: nonZero(o.rtRuntime), RealtimePeriod: nonZero(uint64(o.rtPeriod)), //nolint:gosec // not negative
		Cpus: o.cpusetCPUs, Mems: o.cpusetMems,
	}
	if o.cpus > 0 {
		c.Period, c.Quota = nonZero[uint64](cpusPeriod), nonZero(int64(o.cpus)*cpusPeriod/nanoCPU)
	}
	if *c == (specs.LinuxCPU{}) {
		return nil, nil //nolint:nilnil // no limit
	}
	return c, nil
}

// cpuShares are the shares within what kernels take, as docker cuts them; nil for none.
func (o *limitOptions) cpuShares() *uint64 {
	const least, most = 2, 262144
	if o.shares == 0 {
		return nil
	}
	n := uint64(min(max(o.shares, least), most))
	return &n
}

func (o *limitOptions) checkCPU() error {
	if o.cpus != 0 && o.period != 0 {
		return errors.New("Conflicting options: Nano CPUs and CPU Period cannot both be set.") //nolint:revive,staticcheck // docker's words
	}
	if o.cpus != 0 && o.quota != 0 {
		return errors.New("Conflicting options: Nano CPUs and CPU Quota cannot both be set.") //nolint:revive,staticcheck // docker's words
	}
	for _, n := range []struct {
		flag  string
		value int64
	}{{"cpu-shares", o.shares}, {"cpu-rt-period", o.rtPeriod}, {"cpu-rt-runtime", o.rtRuntime}} {
		if n.value < 0 {
			return fmt.Errorf("--%s %d is below zero", n.flag, n.value)
		}
	}
	return o.checkCPUTime()
}

func (o *limitOptions) checkCPUTime() error {
	const leastCPUs, least, most = 10000000, 1000, 1000000
	switch {
	case o.cpus < 0, o.cpus > 0 && (o.cpus < leastCPUs || o.cpus.beyond(runtime.NumCPU())):
		return fmt.Errorf("range of CPUs is from 0.01 to %d.00, as there are only %[1]d CPUs available", runtime.NumCPU())
	case o.period != 0 && (o.period < least || o.period > most):
		return errors.New("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
	case o.quota > 0 && o.quota < least:
		return errors.New("CPU cfs quota can not be less than 1ms (i.e. 1000)")
	}
	return nil
}

func (o *limitOptions) blockLimits() (*specs.LinuxBlockIO, error) {
	if o.weight > 0 && (o.weight < 10 || o.weight > 1000) {
		return nil, errors.New("Range of blkio weight is from 10 to 1000") //nolint:staticcheck // docker's words
	}
	b := &specs.LinuxBlockIO{Weight: nonZero(o.weight)}
	any := o.weight != 0
	for _, d := range o.weightDevices.devices {
		w := uint16(d.Rate) //nolint:gosec // at most 1000
		entry := specs.LinuxWeightDevice{Weight: &w}
		entry.Major, entry.Minor = d.Major, d.Minor
		b.WeightDevice, any = append(b.WeightDevice, entry), true
	}
	for _, l := range []struct {
		from *deviceList
		to   *[]specs.LinuxThrottleDevice
	}{
		{&o.readBps, &b.ThrottleReadBpsDevice},
		{&o.writeBps, &b.ThrottleWriteBpsDevice},
		{&o.readIops, &b.ThrottleReadIOPSDevice},
		{&o.writeIops, &b.ThrottleWriteIOPSDevice},
	} {
		*l.to = l.from.devices
		any = any || len(l.from.devices) > 0
	}
	if !any {
		return nil, nil //nolint:nilnil // no limit
	}
	return b, nil
}

// nonZero is nil for 0.
func nonZero[T int64 | uint64 | uint16](n T) *T {
	if n == 0 {
		return nil
	}
	return &n
}

// limitFlags are the flags behind fields of linux.resources.
var limitFlags = [...]struct{ field, flag string }{
	{"memory.limit", "memory"},
	{"memory.swappiness", "memory-swappiness"},
	{"memory.swap", "memory-swap"},
	{"memory.reservation", "memory-reservation"},
	{"memory.disableOOMKiller", "oom-kill-disable"},
	{"cpu.shares", "cpu-shares"},
	{"cpu.quota", "cpus (--cpu-quota, --cpu-period)"},
	{"cpu.period", "cpus (--cpu-quota, --cpu-period)"},
	{"cpu.realtimeRuntime", "cpu-rt-runtime"},
	{"cpu.realtimePeriod", "cpu-rt-period"},
	{"cpu.cpus", "cpuset-cpus"},
	{"cpu.mems", "cpuset-mems"},
	{"pids.limit", "pids-limit"},
	{"blockIO.weightDevice", "blkio-weight-device"},
	{"blockIO.weight", "blkio-weight"},
	{"blockIO.throttleReadBpsDevice", "device-read-bps"},
	{"blockIO.throttleWriteBpsDevice", "device-write-bps"},
	{"blockIO.throttleReadIOPSDevice", "device-read-iops"},
	{"blockIO.throttleWriteIOPSDevice", "device-write-iops"},
}

// limitError says of a limit that cannot be had by which flag it was asked for.
func limitError(err error) error {
	f, ok := errors.AsType[*cgroup.FieldError](err)
	if !ok {
		return err
	}
	for _, l := range limitFlags {
		if !strings.HasPrefix(f.Field, l.field) {
			continue
		}
		named := fmt.Errorf("--%s cannot be enforced: %w", l.flag, f.Reason())
		if f.Undelegated() {
			return hint.With(named,
				"have systemd delegate cgroups:  systemd-run --user --scope deckhand run ...",
				"every controller of them:       systemctl edit user@.service, with Delegate=yes in [Service]")
		}
		return named
	}
	return err
}
