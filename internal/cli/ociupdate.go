package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// ociUpdateOptions are the flags of update.
type ociUpdateOptions struct {
	resources                                             string
	blkioWeight                                           uint16
	cpuPeriod, cpuShare                                   uint64
	cpuQuota, cpuBurst, cpuIdle                           string
	cpusetCpus, cpusetMems                                string
	memory, memoryReservation, memorySwap                 string
	pidsLimit                                             int64
	cpuRtPeriod, cpuRtRuntime, l3CacheSchema, memBwSchema string
}

func (o *ociUpdateOptions) addFlags(f *pflag.FlagSet) {
	f.StringVarP(&o.resources, "resources", "r", "", "`file` with linux.resources as JSON, - for stdin; other limits are not to be given then")
	f.Uint16Var(&o.blkioWeight, "blkio-weight", 0, "relative `weight` of input and output, 10 to 1000")
	f.Uint64Var(&o.cpuPeriod, "cpu-period", 0, "CPU period in `microseconds`")
	f.StringVar(&o.cpuQuota, "cpu-quota", "", "CPU time in a period in `microseconds`; -1: no limit")
	f.StringVar(&o.cpuBurst, "cpu-burst", "", "CPU time that may be saved up in `microseconds`")
	f.StringVar(&o.cpuIdle, "cpu-idle", "", "`1` runs it only when the CPU is idle, 0 does not")
	f.Uint64Var(&o.cpuShare, "cpu-share", 0, "relative CPU `weight`, 2 to 262144")
	f.StringVar(&o.cpuRtPeriod, "cpu-rt-period", "", "real-time period in `microseconds`")
	f.StringVar(&o.cpuRtRuntime, "cpu-rt-runtime", "", "real-time CPU time in a period in `microseconds`")
	f.StringVar(&o.cpusetCpus, "cpuset-cpus", "", "`CPUs` to use, such as 0-2,4")
	f.StringVar(&o.cpusetMems, "cpuset-mems", "", "memory `nodes` to use")
	f.StringVar(&o.memory, "memory", "", "memory limit in `bytes`; -1: none")
	f.StringVar(&o.memoryReservation, "memory-reservation", "", "memory in `bytes` that is left to it in need")
	f.StringVar(&o.memorySwap, "memory-swap", "", "memory and swap together in `bytes`; -1: no limit")
	f.Int64Var(&o.pidsLimit, "pids-limit", 0, "most `processes`; -1: no limit")
	f.StringVar(&o.l3CacheSchema, "l3-cache-schema", "", "not supported: Intel RDT")
	f.StringVar(&o.memBwSchema, "mem-bw-schema", "", "not supported: Intel RDT")
}

func newOciUpdate(o *ociApp) *cobra.Command {
	var opts ociUpdateOptions
	cmd := &cobra.Command{
		Use:   "update [OPTIONS] CONTAINER-ID",
		Short: "Change a container's limits",
		Args:  oneID,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.open(args[0])
			if err != nil {
				return err
			}
			r, err := opts.parse(o.in)
			if err != nil {
				return err
			}
			return c.Update(cmd.Context(), r)
		},
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

// parse makes resources of the flags; what was not given stays unset.
func (o *ociUpdateOptions) parse(in io.Reader) (*specs.LinuxResources, error) {
	switch {
	case o.l3CacheSchema != "":
		return nil, errors.New("--l3-cache-schema is not supported")
	case o.memBwSchema != "":
		return nil, errors.New("--mem-bw-schema is not supported")
	case o.resources != "":
		return readResources(o.resources, in)
	}
	r := &specs.LinuxResources{}
	if o.blkioWeight != 0 {
		r.BlockIO = &specs.LinuxBlockIO{Weight: &o.blkioWeight}
	}
	if o.pidsLimit != 0 {
		r.Pids = &specs.LinuxPids{Limit: &o.pidsLimit}
	}
	var cpu specs.LinuxCPU
	var memory specs.LinuxMemory
	err := errors.Join(
		number("cpu-quota", o.cpuQuota, &cpu.Quota), number("cpu-idle", o.cpuIdle, &cpu.Idle),
		natural("cpu-burst", o.cpuBurst, &cpu.Burst), natural("cpu-rt-period", o.cpuRtPeriod, &cpu.RealtimePeriod),
		number("cpu-rt-runtime", o.cpuRtRuntime, &cpu.RealtimeRuntime),
		number("memory", o.memory, &memory.Limit), number("memory-reservation", o.memoryReservation, &memory.Reservation),
		number("memory-swap", o.memorySwap, &memory.Swap),
	)
	if o.cpuPeriod != 0 {
		cpu.Period = &o.cpuPeriod
	}
	if o.cpuShare != 0 {
		cpu.Shares = &o.cpuShare
	}
	cpu.Cpus, cpu.Mems = o.cpusetCpus, o.cpusetMems
	if cpu != (specs.LinuxCPU{}) {
		r.CPU = &cpu
	}
	if memory != (specs.LinuxMemory{}) {
		r.Memory = &memory
	}
	return r, err
}

func readResources(path string, in io.Reader) (*specs.LinuxResources, error) {
	var raw []byte
	var err error
	if path == "-" {
		raw, err = io.ReadAll(in)
	} else {
		raw, err = os.ReadFile(path)
	}
	r := &specs.LinuxResources{}
	if err == nil {
		err = json.Unmarshal(raw, r)
	}
	if err != nil {
		return nil, fmt.Errorf("read --resources: %w", err)
	}
	return r, nil
}

// number sets to where the flag was given.
func number(flag, value string, to **int64) error {
	if value == "" {
		return nil
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return fmt.Errorf("--%s %q is not a number", flag, value)
	}
	*to = &n
	return nil
}

// natural is number for what is never below zero.
func natural(flag, value string, to **uint64) error {
	if value == "" {
		return nil
	}
	n, err := strconv.ParseUint(value, 10, 64)
	if err != nil {
		return fmt.Errorf("--%s %q is not a number from 0 up", flag, value)
	}
	*to = &n
	return nil
}
