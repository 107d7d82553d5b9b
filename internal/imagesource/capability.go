package imagesource

import (
	"encoding/binary"
	"io/fs"
	"strings"

	"github.com/deckhand-engine/deckhand/internal/linux/caps"
)

// specialBits are those of a mode that a program gets rights by.
const specialBits = fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky

// The kernel's vfs_cap_data, linux/capability.h: a word that tells the revision, then pairs of words, permitted and
// inheritable.
const (
	capRevisionMask = 0xff000000
	capRevision1    = 0x01000000
	capRevision2    = 0x02000000
	capRevision3    = 0x03000000
)

// capabilities decodes the attribute security.capability: "cap_net_admin,cap_net_raw", those that whoever runs the
// file gets.
func capabilities(value string) string {
	data := []byte(value)
	if len(data) < 12 {
		return ""
	}
	permitted := uint64(binary.LittleEndian.Uint32(data[4:]))
	switch revision := binary.LittleEndian.Uint32(data) & capRevisionMask; {
	case revision == capRevision1:
	case (revision == capRevision2 || revision == capRevision3) && len(data) >= 20:
		permitted |= uint64(binary.LittleEndian.Uint32(data[12:])) << 32
	default:
		return ""
	}
	var names []string
	for i, name := range caps.All() {
		if permitted&(1<<i) != 0 {
			names = append(names, strings.ToLower(name))
		}
	}
	return strings.Join(names, ",")
}
