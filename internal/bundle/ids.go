package bundle

import (
	"fmt"
	"math"

	"github.com/moby/sys/user"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// OwnIDs translates the mappings of a config.json whose host ids are the machine's to the ids of the
// user namespace that this program is in.
func OwnIDs(s *specs.Spec) error {
	for _, m := range []struct {
		file, field string
		mappings    *[]specs.LinuxIDMapping
	}{
		{"/proc/self/uid_map", "linux.uidMappings", &s.Linux.UIDMappings},
		{"/proc/self/gid_map", "linux.gidMappings", &s.Linux.GIDMappings},
	} {
		if len(*m.mappings) == 0 {
			return fmt.Errorf("%s: an ordinary user's container needs a user namespace and its ids", m.field)
		}
		extents, err := user.ParseIDMapFile(m.file)
		if err != nil {
			return fmt.Errorf("read id map: %w", err)
		}
		if *m.mappings, err = translate(*m.mappings, extents); err != nil {
			return fmt.Errorf("%s: %w", m.field, err)
		}
	}
	return nil
}

// translate replaces host ids by what they are inside, piece by piece.
func translate(mappings []specs.LinuxIDMapping, extents []user.IDMap) ([]specs.LinuxIDMapping, error) {
	var out []specs.LinuxIDMapping
	for _, m := range mappings {
		for m.Size > 0 {
			id, count, ok := inside(extents, m.HostID)
			if !ok {
				return nil, fmt.Errorf("host id %d is neither this user's nor one of his subordinate ids", m.HostID)
			}
			n := min(count, m.Size)
			out = append(out, specs.LinuxIDMapping{ContainerID: m.ContainerID, HostID: id, Size: n})
			m.ContainerID, m.HostID, m.Size = m.ContainerID+n, m.HostID+n, m.Size-n
		}
	}
	return out, nil
}

// inside is an outer id's number in the namespace, and how many from there on follow each other.
func inside(extents []user.IDMap, outer uint32) (id, count uint32, ok bool) {
	for _, e := range extents {
		if offset := int64(outer) - e.ParentID; offset >= 0 && offset < e.Count {
			return uint32(e.ID + offset), uint32(min(e.Count-offset, math.MaxUint32)), true //nolint:gosec // the kernel's ids have 32 bits
		}
	}
	return 0, 0, false
}
