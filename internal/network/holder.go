package network

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// explainPort adds to a PortError who has the port.
func (c config) explainPort(err error) error {
	var pe *PortError
	if !errors.As(err, &pe) || !errors.Is(err, unix.EADDRINUSE) {
		return err
	}
	if pe.Holder = c.holdingContainer(pe.Port); pe.Holder == "" {
		pe.Holder = holdingProcess("/proc", pe.Port)
	}
	return err
}

func (c config) holdingContainer(p Port) string {
	b := c.readBase()
	if b == nil {
		return ""
	}
	a, err := c.openAddresses(b.Subnet)
	if err != nil {
		return ""
	}
	defer a.close() // the dead are left to Sweep
	living, _, err := a.list()
	if err != nil {
		return ""
	}
	for _, h := range living {
		for _, q := range h.record.Ports {
			if q.Protocol == p.Protocol && q.HostPort == p.HostPort && (q.wildcard() || p.wildcard() || q.HostIP == p.HostIP) {
				return fmt.Sprintf("container %.12s, pid %d", h.record.ID, h.record.PID)
			}
		}
	}
	return ""
}

// holdingProcess finds the process that listens on the port, as far as we may look.
func holdingProcess(proc string, p Port) string {
	inodes := make(map[string]bool)
	for _, table := range []string{p.Protocol, p.Protocol + "6"} {
		f, err := os.Open(filepath.Join(proc, "net", table))
		if err != nil {
			continue
		}
		socketInodes(bufio.NewScanner(f), p.HostPort, inodes)
		_ = f.Close() // nothing was written
	}
	if len(inodes) == 0 {
		return ""
	}
	links, err := filepath.Glob(filepath.Join(proc, "[0-9]*", "fd", "*"))
	if err != nil {
		return ""
	}
	for _, l := range links {
		target, err := os.Readlink(l)
		if err != nil || !inodes[target] {
			continue
		}
		dir := filepath.Dir(filepath.Dir(l))
		name, err := os.ReadFile(filepath.Join(dir, "comm"))
		if err != nil {
			continue
		}
		return fmt.Sprintf("%s, pid %s", strings.TrimSpace(string(name)), filepath.Base(dir))
	}
	return ""
}

// socketInodes collects from a /proc/net/tcp or udp table, as the links in /proc/pid/fd name them, the
// sockets that wait on the port: listening TCP (0A), unconnected UDP (07).
func socketInodes(s *bufio.Scanner, port uint16, into map[string]bool) {
	const local, state, inode = 1, 3, 9
	for s.Scan() {
		f := strings.Fields(s.Text())
		if len(f) <= inode || (f[state] != "0A" && f[state] != "07") {
			continue
		}
		_, hex, _ := strings.Cut(f[local], ":")
		if n, err := strconv.ParseUint(hex, 16, 16); err == nil && uint16(n) == port {
			into["socket:["+f[inode]+"]"] = true
		}
	}
}
