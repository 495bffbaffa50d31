"""What the app-server answers: one module a family of methods. The manifest says which function answers what."""
