package store

import (
	"context"
	"errors"
	"io"
)

// Save writes a docker archive that is an OCI layout as well (as docker save does since 25).
func (s *Store) Save(ctx context.Context, w io.Writer, images []*Image) error {
	return errors.ErrUnsupported
}

// Load reads a docker archive or an OCI layout (tar, compressed or not) and tags what it names.
func (s *Store) Load(ctx context.Context, r io.Reader) ([]*Image, error) {
	return nil, errors.ErrUnsupported
}
