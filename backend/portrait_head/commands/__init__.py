"""The subcommands of `portrait-head`, a module each: `add_to` declares its arguments and names the function to call."""
