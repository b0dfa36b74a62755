"""Benchmarks of Pose-RFT, beside the package: run one from the checkout by ``python -m benchmarks.NAME``.

Recordings are looked up by name in the folder that the environment variable POSE_RFT_MOCAP names; ``--poses`` gives
another file.
"""
