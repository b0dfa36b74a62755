"""The one exception for mistakes that a user can make and mend, and the reasons of others in one line."""


class UserError(ValueError):
    """Bad input from the user: a missing file, a wrong shape, an unknown name.

    The message is one line that says what is wrong, where, and what to do. The command line prints it and
    exits with status 2; as a library, it is an ordinary ``ValueError``.
    """


class OutOfReach(UserError):
    """Something has to be downloaded first, and cannot be, or must not be."""


def reason_of(error: BaseException) -> str:
    """Why something failed, for a message of one line: the first line of an error's own, or the error's kind."""
    own = getattr(error, "strerror", None) or str(error).strip()
    return own.splitlines()[0] if own else type(error).__name__
