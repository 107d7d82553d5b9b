package rootless

import (
	"slices"
	"syscall"

	"github.com/moby/sys/user"
)

// Split divides the mappings of a new user namespace, whose host ids are ids of this one, where the
// host ids pass from one extent of this namespace's own maps into another: the kernel takes no
// mapping across them (EPERM). In the initial namespace nothing is ever divided.
func Split(uids, gids []syscall.SysProcIDMap) (splitUIDs, splitGIDs []syscall.SysProcIDMap, err error) {
	if !Inside() {
		return uids, gids, nil
	}
	if uids, err = splitBy("/proc/self/uid_map", uids); err != nil {
		return nil, nil, err
	}
	gids, err = splitBy("/proc/self/gid_map", gids)
	return uids, gids, err
}

func splitBy(file string, mappings []syscall.SysProcIDMap) ([]syscall.SysProcIDMap, error) {
	extents, err := readMap(file)
	if err != nil {
		return nil, err
	}
	return split(mappings, extents), nil
}

func split(mappings []syscall.SysProcIDMap, extents []user.IDMap) []syscall.SysProcIDMap {
	var ends []int // where an extent ends, ascending
	for _, e := range extents {
		ends = append(ends, int(e.ID+e.Count))
	}
	slices.Sort(ends)
	var out []syscall.SysProcIDMap
	for _, m := range mappings {
		for _, end := range ends {
			if n := end - m.HostID; n > 0 && n < m.Size {
				out = append(out, syscall.SysProcIDMap{ContainerID: m.ContainerID, HostID: m.HostID, Size: n})
				m.ContainerID, m.HostID, m.Size = m.ContainerID+n, m.HostID+n, m.Size-n
			}
		}
		out = append(out, m)
	}
	return out
}
