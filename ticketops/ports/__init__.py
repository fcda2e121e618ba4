"""What services need of the world, a module a subject. Each comment is a guarantee that the conformance suites check.

Every method may raise BackendUnavailable, and BackendError where the backend refuses the call.
"""
