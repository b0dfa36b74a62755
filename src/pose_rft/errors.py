"""The one exception for mistakes that a user can make and mend."""


class UserError(ValueError):
    """Bad input from the user: a missing file, a wrong shape, an unknown name.

    The message is one line that says what is wrong, where, and what to do. The command line prints it and
    exits with status 2; as a library, it is an ordinary ``ValueError``.
    """
