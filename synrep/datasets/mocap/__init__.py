"""SkeletonMotion capture of any format becomes poses of 17 Human3.6M joints."""
