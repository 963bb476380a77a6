% The OTP release, for `mongooseim-bridge nodes` only: it is not reported.
erlang:system_info(otp_release)
