// Package imagesource finds images for checks, wherever they are: in the store, in a registry, in an archive, an OCI
// layout, podman's storage; and containers of the store.
package imagesource
