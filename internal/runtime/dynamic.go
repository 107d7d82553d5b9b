//go:build cgo

package runtime

// NeedsLoader is true of a program built with cgo: it is linked dynamically, and a container has neither
// its loader nor its libraries.
const NeedsLoader = true
