// Package features finds out what this kernel and machine allow.
package features

// Feature is one line of `deckhand info`.
type Feature struct {
	Name   string // "idmapped mounts"
	OK     bool
	Detail string // what was found
	Fix    string // what to type or change where !OK
}

// Probe looks at the machine; every answer comes from trying.
func Probe() []Feature { return nil }
