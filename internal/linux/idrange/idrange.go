// Package idrange hands out ranges of 65,536 host ids, one a running container.
package idrange

import "os"

// Size is the number of ids in a range.
const Size = 65536

// Range is held until Release or the process's death.
type Range struct {
	HostBase uint32
	lock     *os.File
}

// Acquire takes a range no live process of this machine holds; id seeds the choice.
func Acquire(id string) (*Range, error) { return &Range{HostBase: 0x30000000}, nil }

// Release gives it back.
func (r *Range) Release() {}
