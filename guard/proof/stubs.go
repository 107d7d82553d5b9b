package proof

func (p *Proof) seccomp() ([]byte, error) {
	if len(p.Syscalls) == 0 {
		return nil, errNothing
	}
	return SeccompProfile(p.Syscalls)
}

func (p *Proof) runcSeccomp() ([]byte, error) { return p.seccomp() }
func (p *Proof) kubernetes() ([]byte, error)  { return nil, errNothing }
func (p *Proof) picture() ([]byte, error)     { return nil, errNothing }
func (p *Proof) page() ([]byte, error)        { return nil, errNothing }
