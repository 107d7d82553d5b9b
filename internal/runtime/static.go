//go:build !cgo

package runtime

// NeedsLoader is false of a static program: it can be executed inside a container.
const NeedsLoader = false
