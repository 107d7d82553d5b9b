package proof

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/deckhand-engine/deckhand/guard/profile"
	"github.com/deckhand-engine/deckhand/internal/hint"
)

// maxBytes bounds proof.json: the record of a service that is refused everything is far smaller.
const maxBytes = 64 << 20

// Read reads the proof in a directory that [Write] has written. It is checked as by [Parse]. errors.Is
// fs.ErrNotExist where there is none.
func Read(dir string) (*Proof, error) {
	name := filepath.Join(dir, FileName)
	data, err := profile.ReadRegular(name, maxBytes)
	if err != nil {
		return nil, fmt.Errorf("read proof: %w", err)
	}
	p, err := Parse(data)
	if err != nil {
		return nil, hint.With(fmt.Errorf("read proof %s: %w", name, err), hint.Of(err)...)
	}
	return p, nil
}

// Parse reads the content of proof.json. The profile in it is one that deckhand obeys, and [Files] can write all of
// it again. Fields that this version does not know are passed over: nothing obeys them.
func Parse(data []byte) (*Proof, error) {
	var head struct {
		Version *int `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, placed(err, data)
	}
	switch {
	case head.Version == nil:
		return nil, errors.New("version: missing: this is no proof")
	case *head.Version != Version:
		return nil, hint.With(fmt.Errorf("version: %d is not known here, only %d is", *head.Version, Version),
			"use the deckhand that wrote it, or prove it again:  deckhand harden …")
	}
	p := &Proof{}
	if err := json.Unmarshal(data, p); err != nil {
		return nil, placed(err, data)
	}
	return p, p.check()
}

// check reports what no proof can say.
func (p *Proof) check() error {
	if err := p.Profile.Check(); err != nil {
		wrong, _ := errors.AsType[*profile.Error](err)
		if wrong != nil && wrong.Hint != "" {
			return hint.With(fmt.Errorf("profile: %w", err), wrong.Hint)
		}
		return fmt.Errorf("profile: %w", err)
	}
	for i, name := range p.Syscalls {
		if !isSyscall(name) {
			return fmt.Errorf("syscalls[%d]: %q is no system call's name", i, name)
		}
	}
	if year := p.Finished.UTC().Year(); year < 0 || year > 9999 {
		return fmt.Errorf("finished: the year is %d", year)
	}
	return nil
}

// placed is an error of encoding/json with the line that it speaks of.
func placed(err error, data []byte) error {
	offset := int64(-1)
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		offset = syntax.Offset
	}
	kind, ok := errors.AsType[*json.UnmarshalTypeError](err)
	if ok {
		offset = kind.Offset
		err = fmt.Errorf("%s: a JSON %s does not belong there", kind.Field, kind.Value)
	}
	if offset < 0 {
		return err
	}
	offset = min(offset, int64(len(data)))
	return fmt.Errorf("line %d: %w", 1+bytes.Count(data[:offset], []byte("\n")), err)
}
