package cli

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"os"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// byteSize is a flag's number of bytes, as 64m.
type byteSize int64

// String is the number, empty for none.
func (b *byteSize) String() string {
	if *b == 0 {
		return ""
	}
	return strconv.FormatInt(int64(*b), 10)
}

// Set reads it.
func (b *byteSize) Set(s string) error {
	n, err := parseBytes(s)
	*b = byteSize(n)
	return err
}

// Type is what help calls it.
func (b *byteSize) Type() string { return "bytes" }

// swapSize is a byteSize that may be -1.
type swapSize int64

// String is the number, empty for none.
func (b *swapSize) String() string { return (*byteSize)(b).String() }

// Set reads it.
func (b *swapSize) Set(s string) error {
	if s == "-1" {
		*b = -1
		return nil
	}
	return (*byteSize)(b).Set(s)
}

// Type is what help calls it.
func (b *swapSize) Type() string { return "bytes" }

// parseBytes reads docker's sizes: a number, which may have a fraction, and a unit of 1024s in any case: 1.5g, 64 MB,
// 10KiB.
func parseBytes(s string) (int64, error) {
	bad := fmt.Errorf("invalid size: '%s'", s)
	end := strings.LastIndexAny(s, "0123456789. ") + 1
	number, unit := s[:end], strings.ToLower(s[end:])
	if len(number) > 1 {
		number = strings.TrimSuffix(number, " ")
	}
	shift, ok := unitShift(unit)
	if !ok || number == "" || strings.ContainsAny(number, " +-_xXeEpPiInN") {
		return 0, bad
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || n < 0 {
		return 0, bad
	}
	n *= math.Pow(2, float64(shift))
	if n >= math.MaxInt64 {
		return 0, bad
	}
	return int64(n), nil
}

// unitShift is the power of two that a unit stands for.
func unitShift(unit string) (int, bool) {
	if unit == "" || unit == "b" {
		return 0, true
	}
	const step = 10
	i := strings.Index("kmgtp", unit[:1])
	if rest := unit[1:]; i < 0 || rest != "" && rest != "b" && rest != "ib" {
		return 0, false
	}
	return (i + 1) * step, true
}

// cpuCount is a number of CPUs in billionths.
type cpuCount int64

// String is the number, empty for none.
func (c *cpuCount) String() string {
	if *c == 0 {
		return ""
	}
	return new(big.Rat).SetFrac64(int64(*c), 1e9).FloatString(3)
}

// Set reads it.
func (c *cpuCount) Set(s string) error {
	r, ok := new(big.Rat).SetString(s)
	if !ok || len(s) > 32 || strings.ContainsAny(s, "eEpP") { // an exponent could fill the memory
		return fmt.Errorf("failed to parse %s as a rational number", s)
	}
	nano := r.Mul(r, big.NewRat(1e9, 1))
	if !nano.IsInt() || !nano.Num().IsInt64() {
		return errors.New("value is too precise")
	}
	*c = cpuCount(nano.Num().Int64())
	return nil
}

// Type is what help calls it.
func (c *cpuCount) Type() string { return "decimal" }

// beyond reports whether it is more than n CPUs.
func (c *cpuCount) beyond(n int) bool { return int64(*c) > int64(n)*1e9 }

// What the number behind a device's path is.
const (
	deviceNumber = iota
	deviceBytes
	deviceWeight
)

// deviceList are a flag's PATH:NUMBER pairs.
type deviceList struct {
	kind    int
	given   []string
	devices []specs.LinuxThrottleDevice
}

// String is what was given.
func (d *deviceList) String() string { return strings.Join(d.given, ",") }

// Type is what help calls it.
func (d *deviceList) Type() string { return "device" }

// Set reads another pair. The device is looked up: its number is what counts, not the path.
func (d *deviceList) Set(s string) error {
	path, value, ok := strings.Cut(s, ":")
	if !ok || path == "" {
		return fmt.Errorf("bad format: %s", s)
	}
	if !strings.HasPrefix(path, "/dev/") {
		return fmt.Errorf("bad format for device path: %s", s)
	}
	n, err := d.number(value)
	if err != nil {
		return fmt.Errorf("invalid %s for device: %s%w", d.word(), s, err)
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return &os.PathError{Op: "stat", Path: path, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFBLK {
		return fmt.Errorf("%s is not a block device", path)
	}
	entry := specs.LinuxThrottleDevice{Rate: n}
	entry.Major, entry.Minor = int64(unix.Major(st.Rdev)), int64(unix.Minor(st.Rdev))
	d.given, d.devices = append(d.given, s), append(d.devices, entry)
	return nil
}

func (d *deviceList) word() string {
	if d.kind == deviceWeight {
		return "weight"
	}
	return "rate"
}

// number reads what is behind the colon; its error continues a sentence.
func (d *deviceList) number(value string) (uint64, error) {
	switch d.kind {
	case deviceWeight:
		n, err := strconv.ParseUint(value, 10, 16)
		if err != nil || n != 0 && (n < 10 || n > 1000) {
			return 0, errors.New(": it is 0, or 10 to 1000")
		}
		return n, nil
	case deviceBytes:
		n, err := parseBytes(value)
		if err != nil {
			return 0, errors.New(". The correct format is <device-path>:<number>[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb")
		}
		return uint64(n), nil //nolint:gosec // not negative
	}
	n, err := strconv.ParseUint(value, 10, 64)
	if err != nil {
		return 0, errors.New(". The correct format is <device-path>:<number>. Number must be a positive integer")
	}
	return n, nil
}
